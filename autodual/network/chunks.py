"""Bounds of a large batch, some samples at a time, so that memory does not grow with the batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from autodual.bounds import LinearBound, ObjectiveBounds
from autodual.interval import Interval
from autodual.ir.graph import Graph

if TYPE_CHECKING:
    from autodual.network.dual_network import DualResult

# Tensors of a node's size that one sample keeps while its bounds are computed (intervals, relaxation, temporaries).
_KEPT = 12
# Tensors of a row's size that autograd keeps at each node of its way (measured).
_RECORDED = 3
# Part of the budget for what samples keep; the rest is for rows.
_SHARE = 8


def sample_chunk(graph: Graph, x: Tensor, memory_budget: int) -> int:
    """How many samples to bound at once; all of them while gradients are recorded, which keep everything anyway."""
    if torch.is_grad_enabled():
        return x.shape[0]
    scalars = sum(node.size for node in graph)
    return max(1, memory_budget // _SHARE // (scalars * x.element_size() * _KEPT))


def recorded_chunk(graph: Graph, sites: Iterable[str], x: Tensor, memory_budget: int) -> int:
    """How many samples to bound at once where gradients are recorded: then every row's way back is kept."""
    scalars = 0
    for site in sites:
        scalars += graph[site].size * sum(graph[name].size for name in graph.ancestors[site] if name != site)
    return max(1, memory_budget // max(1, scalars * x.element_size() * _RECORDED))


def in_chunks(bound: Callable[[slice], DualResult], samples: int, chunk: int) -> DualResult:
    """`bound` over slices of at most `chunk` samples, put together in order."""
    if samples <= chunk:
        return bound(slice(0, samples))
    return _joined([bound(slice(start, min(start + chunk, samples))) for start in range(0, samples, chunk)])


def _joined(parts: list[DualResult]) -> DualResult:
    first = parts[0]
    intervals = {
        name: Interval(
            torch.cat([part.intervals[name].lower for part in parts]),
            torch.cat([part.intervals[name].upper for part in parts]),
        )
        for name in first.intervals
    }
    objective = (
        None if first.objective is None else _joined_objectives([part.objective for part in parts if part.objective])
    )
    failure = torch.cat([part.failure_probability for part in parts])
    return type(first)(objective, intervals, failure, first.estimates, first.inflation)


def _joined_objectives(parts: list[ObjectiveBounds]) -> ObjectiveBounds:
    lower = torch.cat([part.lower for part in parts])
    errors = [part.error for part in parts if part.error is not None]
    linear = [part.linear for part in parts if part.linear is not None]
    if not linear:
        return ObjectiveBounds(lower, torch.cat(errors) if errors else None)
    coefficients = {name: torch.cat([part.coefficients[name] for part in linear]) for name in linear[0].coefficients}
    function = LinearBound(coefficients, torch.cat([part.offset for part in linear]))
    return ObjectiveBounds(lower, torch.cat(errors) if errors else None, function)
