"""`autodual replay`: does a recorded run give the same results when it is run again?"""

from __future__ import annotations

from pathlib import Path

import click

from autodual_cli.options.option_groups import DATA_DIR_HELP
from autodual_cli.options.quantities import Number

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("result", metavar="RESULT.json", type=_PATH)
@click.option("--limit", type=click.IntRange(min=1), help="Run only the first so many rows again.")
@click.option(
    "--tolerance", type=Number(minimum=0.0), help="How far margins or radii may be apart, instead of rounding."
)
@click.option("--model", type=_PATH, help="Where the model file is now; its content must be the same.")
@click.option("--data", help="Where the data are now; their content must be the same.")
@click.option("--data-dir", type=_PATH, help=DATA_DIR_HELP)
@click.option("--box", metavar="LOWER.npy,UPPER.npy", help="Where the files of the box are now.")
@click.option("--points", type=_PATH, help="Where the file of attack's --save-points is now.")
@click.option("--device", help="Another device than the recorded one.")
@click.option("--arch", metavar="PLACE:FACTORY", help="Must be given again where the run was given it. Runs that code.")
@click.option("--unsafe-load", is_flag=True, help="Must be given again where the run was given it.")
@click.pass_context
def replay(
    context: click.Context,
    result: Path,
    limit: int | None,
    tolerance: float | None,
    model: Path | None,
    data: str | None,
    data_dir: Path | None,
    box: str | None,
    points: Path | None,
    device: str | None,
    arch: str | None,
    unsafe_load: bool,
) -> None:
    """Run what RESULT.json records again and compare it row by row; exit with 1 if anything differs."""
    from autodual.report import load_document
    from autodual_cli.replaying.recorded_settings import Replacements
    from autodual_cli.replaying.sample_rerun import replay as run_again
    from autodual_cli.replaying.sample_rerun import show_replay

    document = load_document(result)
    replacements = Replacements(model, data, data_dir, box, points, device, arch, unsafe_load)
    outcome, now = run_again(document, replacements, limit=limit, tolerance=tolerance)
    show_replay(document, outcome, now, tolerance)
    if not outcome.agrees:
        click.echo(f"{result} is not reproduced: {len(outcome.differences)} value(s) differ.", err=True)
        context.exit(1)
