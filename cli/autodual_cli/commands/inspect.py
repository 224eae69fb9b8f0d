"""`autodual inspect`: the graph of a network, the passes that run over it, and the dual plan they end in."""

from __future__ import annotations

from pathlib import Path

import click

from autodual_cli.options.option_groups import ModelOptions, model_options, overwrite_option
from autodual_cli.options.quantities import Shape


@click.command()
@model_options
@click.option("--input-shape", type=Shape(), help="Shape of one sample, such as 1,28,28, where it cannot be inferred.")
@click.option(
    "--print-after", multiple=True, metavar="PASS", help="Print the plan after this pass; 'all' for every one."
)
@click.option("--dot", type=click.Path(path_type=Path), help="Write the graph in Graphviz' language here.")
@overwrite_option
def inspect(
    model: ModelOptions,
    input_shape: tuple[int, ...] | None,
    print_after: tuple[str, ...],
    dot: Path | None,
    overwrite: bool,
) -> None:
    """Print the graph of MODEL, the passes and the dual plan."""
    from autodual_cli.output.targets import Target
    from autodual_cli.tasks.model_inspection import inspect_model

    inspect_model(model, input_shape, print_after, None if dot is None else Target(dot, overwrite))
