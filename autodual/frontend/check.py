"""The traced graph against the model on fresh random inputs: the last word on whether tracing went right."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from autodual.errors import BatchMixingError, InvalidInputError, TraceError
from autodual.ir import Environment, Graph
from autodual.tensors import all_finite

Network = Callable[[Mapping[str, Tensor], Sequence[Tensor]], Tensor]
"""Runs the user's model with the given parameters and buffers on one batch, and yields the traced output."""


def fresh_inputs(examples: Sequence[Tensor], batch: int, generator: torch.Generator) -> tuple[Tensor, ...]:
    """Random batches `[batch, *shape]` as spread out as the examples, in their dtype and on their device."""
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
        if tensor.is_floating_point() and not all_finite(tensor):
            raise InvalidInputError(
                f"'{name}' holds NaN or infinity; no bound exists for such a network, so repair it."
            )


def compare(
    graph: Graph, network: Network, tensors: Mapping[str, Tensor], examples: Sequence[Tensor], batches: Sequence[int]
) -> None:
    """Compare graph and model on fresh batches, in double precision wherever the model can run in it.

    With several batch sizes this also finds outputs that depend on a sample's batch-mates.

    Raises:
        BatchMixingError: the model's outputs change with the batch size.
        TraceError: the two differ beyond rounding, which is a fault of the frontend or of a registered rule.
    """
    inputs, tensors, expected, tolerance = _finite_run(network, tensors, examples, max(batches))
    environment = Environment(tensors.__getitem__, inputs[0].dtype, inputs[0].device)
    values = graph.evaluate(inputs, environment)
    result = values[graph.outputs[0]]
    if result.shape[1:] != expected.shape[1:]:
        raise TraceError(
            f"The traced graph yields the shape {list(result.shape[1:])} a sample where the model yields "
            f"{list(expected.shape[1:])}; a registered rule is wrong."
        )
    result = result.expand(expected.shape)
    largest = max(float(value.abs().max()) for value in values.values() if value.numel())
    rounding = 100 * torch.finfo(result.dtype).eps * largest
    margin = tolerance * float(expected.abs().max()) + rounding if expected.numel() else 0.0
    if not _close(result, expected, margin):
        raise TraceError(
            f"The traced graph differs from the model by {float((result - expected).abs().max()):.3g} on random "
            "inputs; the model may depend on hidden state or randomness, or a registered rule is wrong."
        )
    for batch in batches[1:]:
        part = network(tensors, _copies([value[:batch] for value in inputs]))
        mine = result[:batch]
        # A model that squeezes all axes of extent 1 loses the batch axis of a single sample, and nothing else.
        if part.numel() != mine.numel() or not _close(part.reshape(mine.shape), mine, margin):
            raise BatchMixingError(
                f"The model computes something else for a batch of {batch} than for a batch of {max(batches)}; a "
                "sample's output must not depend on its batch, so remove what depends on the batch size (squeeze() "
                "without an axis is a common cause)."
            )


def _finite_run(
    network: Network, tensors: Mapping[str, Tensor], examples: Sequence[Tensor], batch: int
) -> tuple[Sequence[Tensor], Mapping[str, Tensor], Tensor, float]:
    """`_widest_run` on fresh inputs; nearer and nearer to the examples where a model (of logarithms, say) needs it."""
    generator = torch.Generator().manual_seed(0)
    fresh = fresh_inputs(examples, batch, generator)
    for share in (1.0, 0.05, 0.001, 0.0):
        inputs = [
            torch.lerp(example.detach()[torch.arange(batch) % len(example)], noise, share)
            for example, noise in zip(examples, fresh, strict=True)
        ]
        run = _widest_run(network, tensors, fresh if share == 1 else inputs)
        if all_finite(run[2]):
            return run
    raise TraceError(
        "The model yields NaN or infinity on random inputs and on the example; no bound exists for such outputs."
    )


def _widest_run(
    network: Network, tensors: Mapping[str, Tensor], inputs: Sequence[Tensor]
) -> tuple[Sequence[Tensor], Mapping[str, Tensor], Tensor, float]:
    """Run the model in double precision if it can: inputs and tensors in the dtype used, output, relative tolerance."""
    wide = {name: tensor.double() if tensor.is_floating_point() else tensor.clone() for name, tensor in tensors.items()}
    doubles = [value.double() for value in inputs]
    try:
        return doubles, wide, network(wide, _copies(doubles)), 1e-6
    except Exception:
        # Some models fix a dtype inside; they are compared in their own, whose rounding is all one can ask for.
        own = {name: tensor.clone() for name, tensor in tensors.items()}
        return inputs, own, network(own, _copies(inputs)), 4 * torch.finfo(inputs[0].dtype).eps ** 0.5


def _copies(inputs: Sequence[Tensor]) -> list[Tensor]:
    """For the model to keep: its first layer may work in place."""
    return [value.clone(memory_format=torch.contiguous_format) for value in inputs]


def _close(value: Tensor, expected: Tensor, margin: float) -> bool:
    return bool(((value - expected).abs() <= margin).all())


def select_output(outputs: object, index: int) -> Tensor:
    """The tensor at place `index` of a model's flattened outputs."""
    return pytree.tree_leaves(outputs)[index]
