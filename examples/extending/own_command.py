"""A command of your own: `autodual curve MODEL` prints how much is certified at each of several radii.

A package that has this file as its module `own_command` says in its pyproject.toml

    [project.entry-points."autodual.commands"]
    curve = "own_command:curve"

and once it is installed, `autodual --help` lists the command. The module is imported only when the command is called,
so it may import what it needs at its top. Errors of autodual become one line and exit status 2, as in autodual's own
commands.
"""

from __future__ import annotations

import click

import autodual
from autodual.data import load_dataset


@click.command()
@click.argument("model")
@click.option("--data", default="sample", show_default=True, help="A data set's name or a .npz file.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Take so many samples.")
@click.option("--radius", "radii", type=float, multiple=True, default=(0.01, 0.05, 0.1), show_default=True,
              help="Radius of an l∞ ball; repeatable.")  # fmt: skip
def curve(model: str, data: str, limit: int, radii: tuple[float, ...]) -> None:
    """Print the share of samples certified at each radius."""
    samples = load_dataset(data).slice(0, limit)
    dual = autodual.compile_dual(autodual.load_model(model), samples.x[:1])
    for radius in sorted(radii):
        certificates = autodual.certify(dual, samples.x, autodual.LinfBall(radius), labels=samples.y)
        share = sum(certificate.certified for certificate in certificates) / len(certificates)
        click.echo(f"{radius:g}\t{share:.1%}")


if __name__ == "__main__":
    curve()
