"""Checks a traced graph: on fresh random inputs it must compute what the model computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from autodual.errors import BatchMixingError, TraceError
from autodual.frontend.torch.source import first_line
from autodual.frontend.torch.tracing.comparison import Comparison, Network, Run, close, widest_run
from autodual.ir import Graph
from autodual.ir.ops import Cast
from autodual.tensors import all_finite


def fresh_inputs(examples: Sequence[Tensor], batch: int, generator: torch.Generator) -> tuple[Tensor, ...]:
    """Random batches `[batch, *shape]` as spread out as the examples, in their dtype and on their device."""
    fresh = []
    for example in examples:
        values = example.detach().to("cpu", torch.float64)
        centre, spread = values.mean(), values.std(correction=0) + 0.1
        noise = torch.randn(batch, *example.shape[1:], generator=generator, dtype=torch.float64)
        fresh.append((centre + spread * noise).to(example))
    return tuple(fresh)


def compare(
    graph: Graph, network: Network, tensors: Mapping[str, Tensor], examples: Sequence[Tensor], batches: Sequence[int]
) -> None:
    """Compare graph and model on fresh batches, in double precision wherever the model can run in it.

    With several batch sizes this also finds outputs that depend on a sample's batch-mates.

    Raises:
        BatchMixingError: the model's outputs change with the batch size.
        TraceError: the two differ beyond rounding, which is a fault of the frontend or of a registered rule.
    """
    run = _finite_run(network, tensors, examples, max(batches))
    found = Comparison.of(graph, run)
    if found.agree:
        _require_same_alone(run, found, batches)
        return
    if found.result.shape != found.expected.shape:
        raise TraceError(
            f"The traced graph yields the shape {list(found.result.shape[1:])} a sample where the model yields "
            f"{list(found.expected.shape[1:])}; a registered rule is wrong."
        )
    raise TraceError(
        f"The traced graph differs from the model by {found.worst:.3g} on random inputs; {_likely_reason(graph)}."
    )


def _require_same_alone(run: Run, found: Comparison, batches: Sequence[int]) -> None:
    """Raise BatchMixingError unless the model computes the same for the smaller batches too."""
    for batch in batches[1:]:
        part = run.call([value[:batch] for value in run.inputs])
        mine = found.result[:batch]
        # A model that squeezes all axes of extent 1 loses the batch axis of a single sample, and nothing else.
        if part.numel() != mine.numel() or not close(part.reshape(mine.shape), mine, found.margin):
            raise BatchMixingError(
                f"The model computes something else for a batch of {batch} than for a batch of {max(batches)}; a "
                "sample's output must not depend on its batch, so remove what depends on the batch size (squeeze() "
                "without an axis is a common cause)."
            )


def _likely_reason(graph: Graph) -> str:
    if any(isinstance(node.op, Cast) for node in graph):
        return (
            "of what it computes in a narrower type only the rounding of casts is counted, so cast back before "
            "computing on"
        )
    return "the model may depend on hidden state or randomness, or a registered rule is wrong"


def _finite_run(network: Network, tensors: Mapping[str, Tensor], examples: Sequence[Tensor], batch: int) -> Run:
    """The model's run on random inputs; these move towards the examples until its outputs are finite."""
    generator = torch.Generator().manual_seed(0)
    fresh = fresh_inputs(examples, batch, generator)
    for share in (1.0, 0.05, 0.001, 0.0):
        inputs = [
            torch.lerp(example.detach()[torch.arange(batch) % len(example)], noise, share)
            for example, noise in zip(examples, fresh, strict=True)
        ]
        try:
            run = widest_run(network, tensors, fresh if share == 1 else inputs)
        except (RuntimeError, TypeError, ValueError) as error:
            raise TraceError(f"The model can be traced, but it does not run: {first_line(error)}.") from error
        if all_finite(run.outputs):
            return run
    raise TraceError(
        "The model yields NaN or infinity on random inputs and on the example; no bound exists for such outputs."
    )
