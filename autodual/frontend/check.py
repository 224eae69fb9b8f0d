"""The traced graph against the model on fresh random inputs: the last word on whether tracing went right."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from autodual.errors import BatchMixingError, InvalidInputError, TraceError
from autodual.ir import Environment, Graph

Network = Callable[[Mapping[str, Tensor], Sequence[Tensor]], Tensor]
"""Runs the user's model with the given parameters and buffers on one batch, and yields the traced output."""


def fresh_inputs(examples: Sequence[Tensor], batch: int, generator: torch.Generator) -> tuple[Tensor, ...]:
    """Random batches `[batch, *shape]` of the examples' spread, all samples distinct, in their dtype and on their device."""
    fresh = []
    for example in examples:
        values = example.detach().to("cpu", torch.float64)
        centre, spread = values.mean(), values.std(correction=0) + 0.1
        noise = torch.randn(batch, *example.shape[1:], generator=generator, dtype=torch.float64)
        fresh.append((centre + spread * noise).to(example))
    return tuple(fresh)


def require_finite(tensors: Mapping[str, Tensor]) -> None:
    """Raise InvalidInputError naming the first parameter, buffer or constant that holds NaN or infinity."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise InvalidInputError(f"'{name}' holds NaN or infinity; no bound exists for such a network, so repair it.")


def compare(
    graph: Graph, network: Network, tensors: Mapping[str, Tensor], examples: Sequence[Tensor], batches: Sequence[int]
) -> None:
    """Compare graph and model on fresh batches, in double precision wherever the model can run in it.

    With several batch sizes this also finds outputs that depend on a sample's batch-mates.

    Raises:
        BatchMixingError: the model's outputs change with the batch size.
        TraceError: the two differ beyond rounding, which is a fault of the frontend or of a registered rule.
    """
    generator = torch.Generator().manual_seed(0)
    inputs = fresh_inputs(examples, max(batches), generator)
    wide = {name: tensor.double() if tensor.is_floating_point() else tensor.clone() for name, tensor in tensors.items()}
    try:
        double = [value.double() for value in inputs]
        expected = network(wide, double)
        inputs, tensors, tolerance = tuple(double), wide, 1e-6
    except Exception:
        # Some models fix a dtype inside; they are compared in their own, whose rounding is all one can ask for.
        expected = network({name: tensor.clone() for name, tensor in tensors.items()}, inputs)
        tolerance = 4 * torch.finfo(inputs[0].dtype).eps ** 0.5
    environment = Environment(tensors.__getitem__, inputs[0].dtype, inputs[0].device)
    values = graph.evaluate(inputs, environment)
    result = values[graph.outputs[0]].expand(expected.shape)
    largest = max(float(value.abs().max()) for value in values.values() if value.numel())
    margin = tolerance * float(expected.abs().max() if expected.numel() else 0) + 1e2 * torch.finfo(result.dtype).eps * largest
    if not _close(result, expected, margin):
        raise TraceError(
            f"The traced graph differs from the model by {float((result - expected).abs().max()):.3g} on random inputs; "
            "the model may depend on hidden state or randomness, or a registered rule is wrong."
        )
    for batch in batches:
        alone = network(tensors, [value[:batch].contiguous() for value in inputs])
        if alone.numel() != result[:batch].numel() or not _close(result[:batch], alone.reshape(result[:batch].shape), margin):
            raise BatchMixingError(
                f"The model computes something else for a batch of {batch} than for a batch of {max(batches)}, so a sample's output "
                "depends on its batch; remove what depends on the batch size (squeeze() without an axis is a common cause)."
            )


def _close(value: Tensor, expected: Tensor, margin: float) -> bool:
    return bool(((value - expected).abs() <= margin).all())


def select_output(outputs: object, index: int) -> Tensor:
    """The tensor at place `index` of a model's flattened outputs."""
    return pytree.tree_leaves(outputs)[index]
