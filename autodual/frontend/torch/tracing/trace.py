"""From a PyTorch model, or an exported program, to the graph that everything else works on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from autodual.errors import InvalidInputError, TraceError
from autodual.frontend.torch.batch_axis import BatchAxis
from autodual.frontend.torch.source import first_line, line_of_failure
from autodual.frontend.torch.tracing.against_model import compare, fresh_inputs
from autodual.frontend.torch.tracing.comparison import running
from autodual.frontend.torch.tracing.export import batch_decision, decompose, export
from autodual.frontend.torch.tracing.leaf_modules import opaque_leaves
from autodual.frontend.torch.tracing.lowering import Lowering
from autodual.frontend.torch.tracing.program import (
    batch_axis,
    chosen_output,
    compared_batches,
    input_placeholders,
    naming_the_batch,
    permitted_batches,
    refuse_mutation,
    tensor_names,
)
from autodual.frontend.torch.tracing.sequence import traced_sequence
from autodual.frontend.torch.tracing.state import inference, silence
from autodual.frontend.torch.tracing.wrappers import refuse_foreign, unwrapped
from autodual.frontend.traced_network import KnowsItsGraph, TracedNetwork
from autodual.frontend.weights import require_finite, require_fit


def trace(model: nn.Module, example_inputs: Tensor | tuple[Tensor, ...], *, output: int | None = None) -> TracedNetwork:
    """The graph of a model in inference mode; the model is left exactly as found.

    Args:
        model: any module whose outputs for one sample do not depend on the others in its batch.
        example_inputs: one floating tensor `[N, *shape]` per argument, N ≥ 1; they are cast to the model's dtype and
            moved to its device.
        output: which of the model's outputs, counted in the order in which they are nested, if it has several.

    Returns:
        The graph for one sample, and what the model holds besides parameters and buffers.

    Raises:
        InvalidInputError: an argument is wrong, or a parameter holds NaN or infinity.
        TraceError: the model cannot be traced, or the graph does not compute what the model computes.
        BatchMixingError: samples influence each other.
        UnsupportedOpsError: some operations have no lowering; it lists them all.

    Example:
        >>> import torch
        >>> from autodual.frontend import trace
        >>> model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU())
        >>> [node.name for node in trace(model, torch.rand(2, 4)).graph]
        ['input', 'linear', 'relu']
    """
    model = unwrapped(model)
    if isinstance(model, KnowsItsGraph):
        return _own_graph(model, example_inputs)
    refuse_foreign(model)
    require_fit({**dict(model.named_parameters()), **dict(model.named_buffers())})
    examples = _checked(model, example_inputs)
    with inference(model):
        try:
            with opaque_leaves(model):
                traced = _traced(model, examples, output)
        except TraceError:
            _require_running(model, examples)
            raise
        _verify(traced, model, examples, (3, 1))
    return traced


def _traced(model: nn.Module, examples: Sequence[Tensor], output: int | None) -> TracedNetwork:
    """The model's graph, not yet compared with it."""
    inputs = fresh_inputs(examples, _tracing_batch(examples), torch.Generator().manual_seed(0))
    if output in (None, 0) and (known := traced_sequence(model, inputs)) is not None:
        return known
    program = export(model, inputs)
    error, located = batch_decision(program) or (None, False)
    if error is not None and located:
        raise error
    traced = _lowered(program, batch_axis(input_placeholders(program)), output)
    if error is not None:
        # Lowering goes first: if it refuses an operation, its error can show a line of code; this one cannot.
        raise error
    return traced


def _require_running(model: nn.Module, examples: Sequence[Tensor]) -> None:
    """Raise a TraceError if the model, as PyTorch runs it, does not take the examples: then tracing is not to blame.

    Where the model runs on two samples but not on one, as with statistics of a batch, another message says so.
    """
    error = _failure(model, examples)
    two = fresh_inputs(examples, 2, torch.Generator().manual_seed(0))
    if error is None or _failure(model, two) is None:
        return
    line = line_of_failure(error)
    where = f" (at {line})" if line else ""
    shapes = " and ".join(str(["N", *example.shape[1:]]).replace("'", "") for example in examples)
    raise TraceError(
        f"The model itself does not run on inputs of the shape {shapes}{where}: {first_line(error)}; give "
        "samples of the shape that it was made for."
    ) from error


def _failure(model: nn.Module, inputs: Sequence[Tensor]) -> Exception | None:
    """The exception that a model raises on inputs, or None; its buffers stay as they are."""
    try:
        with silence():
            buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
            torch.func.functional_call(model, buffers, tuple(inputs))
    except Exception as error:  # the model is the user's code
        return error
    return None


def _own_graph(model: KnowsItsGraph, example_inputs: Tensor | tuple[Tensor, ...]) -> TracedNetwork:
    """The graph of a module that knows it; refuses weights that are not finite."""
    assert isinstance(model, nn.Module)
    examples = (example_inputs,) if isinstance(example_inputs, Tensor) else example_inputs
    traced: TracedNetwork = model.traced_network([example.shape[1:] for example in examples])
    find = traced.lookup(model)
    require_finite({name: find(name) for name in traced.finite_names})
    return traced


def lower_exported(program: ExportedProgram, *, output: int | None = None) -> TracedNetwork:
    """The graph of a program of torch.export, such as `torch.export.load` reads from a `.pt2` file.

    The batch axis is axis 0 of every input. It may be dynamic, which is better, or have one size for all inputs. The
    names in the graph are those in `program.module()`.

    Args:
        program: exported in evaluation mode.
        output: which of the program's outputs, counted in the order in which they are nested, if it has several.

    Returns:
        The graph for one sample, and what the program holds besides parameters and buffers.

    Raises:
        InvalidInputError: there is no such output, or a parameter holds NaN or infinity.
        TraceError: the inputs have no common batch axis, or the graph does not compute what the program computes.
        BatchMixingError: samples influence each other.
        UnsupportedOpsError: some operations have no lowering; it lists them all.

    Example:
        >>> import torch
        >>> from autodual.frontend import lower_exported
        >>> batch = {0: torch.export.Dim("batch")}
        >>> program = torch.export.export(torch.nn.ReLU(), (torch.rand(2, 4),), dynamic_shapes=(batch,))
        >>> [node.name for node in lower_exported(program).graph]
        ['input', 'relu']
    """
    require_fit({**program.state_dict, **_tensors_among(program.constants)})
    inputs = input_placeholders(program)
    batch = batch_axis(inputs)
    with naming_the_batch(batch.size):
        traced = _lowered(program, batch, output)
    generator = torch.Generator().manual_seed(0)
    examples = [
        torch.randn(1, *fake.shape[1:], generator=generator).to(fake.device, fake.dtype)
        for fake in (node.meta["val"] for node in inputs)
    ]
    model = program.module()
    with inference(model):
        _verify(traced, model, examples, compared_batches(*traced.batches))
    return traced


def _lowered(program: ExportedProgram, batch: BatchAxis, output: int | None) -> TracedNetwork:
    """The program's graph, not yet compared with the model."""
    program = decompose(program)
    names, constants = tensor_names(program)
    place, result = chosen_output(program, output)
    lowering = Lowering(batch, {**program.state_dict, **program.constants, **constants})
    inputs = input_placeholders(program)
    graph = lowering.run(inputs, names, result)
    dtype, batches = inputs[0].meta["val"].dtype, permitted_batches(program, batch)
    traced = TracedNetwork(graph, constants, place, dtype, batches)
    refuse_mutation(program, traced.names)
    return traced


def _tensors_among(constants: Mapping[str, Any]) -> dict[str, Tensor]:
    """A program's constants that are tensors, not objects of its own."""
    return {name: value for name, value in constants.items() if isinstance(value, Tensor)}


def _verify(traced: TracedNetwork, model: nn.Module, examples: Sequence[Tensor], batches: Sequence[int]) -> None:
    """Compare the graph with the model on random batches."""
    find = traced.lookup(model)
    read = {name: find(name) for name in traced.names}
    require_finite({name: read[name] for name in traced.finite_names})
    own = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    compare(traced.graph, running(model, traced.output), {**own, **read}, examples, batches)


def _checked(model: nn.Module, example_inputs: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The examples on the model's device and in its dtype."""
    examples = (example_inputs,) if isinstance(example_inputs, Tensor) else tuple(example_inputs)
    for example in examples:
        if not isinstance(example, Tensor) or not example.is_floating_point() or not example.dim() or not len(example):
            raise InvalidInputError("Every example input must be a floating tensor [N, *shape] of at least one sample.")
    if not examples or len({len(example) for example in examples}) != 1:
        raise InvalidInputError("Give at least one example input, and as many samples in each as in the others.")
    floating = (tensor for tensor in (*model.parameters(), *model.buffers()) if tensor.is_floating_point())
    own = next(floating, examples[0])
    return tuple(example.detach().to(own.device, own.dtype) for example in examples)


def _tracing_batch(examples: Sequence[Tensor]) -> int:
    """A batch size for tracing: a prime that no extent equals, so that a size written into the model is noticed."""
    taken = {extent for example in examples for extent in example.shape}
    return next(size for size in (7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53) if size not in taken)
