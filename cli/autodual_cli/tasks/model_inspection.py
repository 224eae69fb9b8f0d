"""What `autodual inspect` prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
import torch
from torch import nn
from torch.export import ExportedProgram

import autodual
from autodual.errors import InvalidInputError
from autodual.files import load_model_file
from autodual.files.writing import write_text
from autodual.ir import format_graph
from autodual.ir.analysis import to_dot
from autodual.passes import Pass, default_pipeline
from autodual.passes.registered_passes import with_registered
from autodual_cli.options.option_groups import ModelOptions
from autodual_cli.output.targets import Target, check_targets, sole_writer_of
from autodual_cli.subject.devices import find_device
from autodual_cli.subject.model_and_data import adapt, dtype_of_run, output_shape

_SAMPLE_SHAPE = (1, 28, 28)


def inspect_model(
    options: ModelOptions, input_shape: tuple[int, ...] | None, print_after: tuple[str, ...], dot: Target | None
) -> None:
    """Compile the network and print what the compiler made of it.

    Raises:
        InvalidInputError: the input shape cannot be inferred or does not fit, or no pass has the name given.
    """
    passes = with_registered(default_pipeline(), options.passes)
    names = [item.name for item in passes]
    print_after = tuple(name.replace("_", "-") for name in print_after)
    for name in print_after:
        if name != "all" and name not in names:
            raise InvalidInputError(f"There is no pass '{name}'; the passes are {', '.join(names)}, or all.")
    if dot is not None:
        check_targets([dot.path], [options.path], overwrite=dot.replace)
    with sole_writer_of([None if dot is None else dot.path]):
        _inspect(options, passes, input_shape, print_after, dot)


def _inspect(
    options: ModelOptions,
    passes: Sequence[Pass],
    input_shape: tuple[int, ...] | None,
    print_after: tuple[str, ...],
    dot: Target | None,
) -> None:
    device = find_device(options.device)
    loaded = load_model_file(
        options.path, unsafe=options.unsafe_load, factory=options.arch, output=options.output_index
    )
    shape = input_shape or infer_shape(loaded.model)
    model = adapt(loaded, options, shape, device)
    example = torch.zeros(2, *shape, device=device, dtype=dtype_of_run(model, options))
    outputs = output_shape(model, example)

    def observe(pass_name: str, plan: Any) -> None:
        if pass_name in print_after or "all" in print_after:
            # Until rules are assigned, the graph is all there is.
            click.echo(f"after {pass_name}:\n{plan.describe() if plan.rules else format_graph(plan.graph)}\n")

    dual = autodual.compile_dual(
        model,
        example_input=example[:1],
        memory_budget=options.memory,
        passes=passes,
        observer=observe,
        class_axis=options.class_axis,
    )
    click.echo(f"{loaded.path}: {loaded.kind}, sha256 {loaded.sha256}")
    for file in loaded.files:
        click.echo(f"{file.path}: weights, sha256 {file.sha256}")
    words = f"{outputs[0]} outputs" if len(outputs) == 1 else f"output {_extents(outputs)}"
    click.echo(f"input {_extents(shape)}, {words}\n\ngraph:\n{format_graph(dual.plan.graph)}\n")
    click.echo(f"passes: {', '.join(item.name for item in passes)}\n\ndual plan:\n{dual.plan.describe()}")
    if dot is not None:
        dot.write(write_text, to_dot(dual.plan.graph) + "\n")


def _extents(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "one number"


def infer_shape(model: nn.Module | ExportedProgram) -> tuple[int, ...]:
    """The shape of one sample, from an exported program or an ONNX file, a first linear layer or MNIST's shape.

    Raises:
        InvalidInputError: none of these is known to fit.
    """
    if isinstance(model, ExportedProgram):
        users = set(model.graph_signature.user_inputs)
        for node in model.graph.nodes:
            if node.op == "placeholder" and node.name in users:
                return tuple(int(extent) for extent in node.meta["val"].shape[1:])
        raise InvalidInputError("The exported program has no input.")
    known = getattr(model, "input_shapes", None)
    if known:
        return tuple(known[0])
    layers = [layer for layer in model.modules() if not list(layer.children())]
    candidates: list[tuple[int, ...]] = [_SAMPLE_SHAPE]
    if layers and isinstance(layers[0], nn.Linear):
        candidates.insert(0, (layers[0].in_features,))
    for shape in candidates:
        try:
            output_shape(model, torch.zeros(2, *shape))
        except InvalidInputError:
            continue
        return shape
    raise InvalidInputError("The shape of the network's input cannot be inferred; give it with --input-shape.")
