"""`autodual report`: the result of any run as one page that a person can read, print and keep."""

from __future__ import annotations

from pathlib import Path

import click

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("result", metavar="RESULT.json", type=_PATH)
@click.option("--html", type=_PATH, help="Write the page here; by default beside RESULT.json, with the ending .html.")
@click.option("--counterexamples", type=_PATH, metavar="FOLDER", help="Save the counterexamples there, as .npy files.")
@click.option(
    "--worst", type=click.IntRange(min=1), default=20, show_default=True, help="List so many of the worst samples."
)
def report(result: Path, html: Path | None, counterexamples: Path | None, worst: int) -> None:
    """Render RESULT.json, which certify, radius, detect or verify wrote with --json, as one self-contained page."""
    from autodual_cli.page import write_page

    click.echo(write_page(result, html, counterexamples, worst))
