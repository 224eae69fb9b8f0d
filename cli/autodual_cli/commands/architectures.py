"""`autodual architectures`: the named networks, with their sizes beside those that the thesis prints."""

from __future__ import annotations

import click

from autodual_cli.options.quantities import Shape


# fmt: off
@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--input-shape", "shapes", multiple=True, type=Shape(), help="Shape of one sample, such as 1,28,28; "
              "repeatable. Without it, MNIST's and CIFAR-10's.")
@click.option("--classes", type=click.IntRange(1, 1_000_000), default=10, show_default=True)
@click.option("--batch-norm", is_flag=True, help="With a batch norm after each layer but the last.")
def architectures(names: tuple[str, ...], shapes: tuple[tuple[int, ...], ...], classes: int, batch_norm: bool) -> None:
    """List the named networks with their hidden units and parameters, beside those that the thesis prints.

    NAME is that of a network, such as small or wide:4; without any, all are listed, and for wide, deep and others of
    any size those of the thesis.
    """
    from autodual_cli.tasks.architecture_list import list_architectures

    list_architectures(names, shapes, classes, batch_norm)
# fmt: on
