"""Bounds of a large batch, some samples at a time, so that memory does not grow with the batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from autodual.bounds import BoundOptions, Ledger, LinearBound, ObjectiveBounds, recomputed
from autodual.errors import MemoryBudgetError
from autodual.interval import Interval
from autodual.ir.graph import Graph
from autodual.perturbations import Region

if TYPE_CHECKING:
    from autodual.network.dual_network import DualResult

# Tensors of a node's size that one sample keeps while its bounds are computed (intervals, relaxation, temporaries),
# without gradients and with them (measured).
_KEPT, _KEPT_WITH_GRADIENTS = 12, 24
# Tensors of a row's size that autograd keeps at each node of its way (measured).
_RECORDED = 3
# Part of the budget for what samples keep, without gradients and with them; the rest is for rows.
_SHARE, _SHARE_WITH_GRADIENTS = 8, 4
# Part of the budget that one sample alone may take, and that samples with all their rows are meant to take.
_ALONE_SHARE, _AIM = 0.5, 0.6


class SampleSize:
    """What one sample keeps in a call, rows apart.

    Raises MemoryBudgetError where not even one sample fits.
    """

    def __init__(self, graph: Graph, x: Tensor, options: BoundOptions):
        self.options, self.recorded = options, torch.is_grad_enabled()
        tensors = _KEPT_WITH_GRADIENTS if self.recorded else _KEPT
        self.bytes = max(1, sum(node.size for node in graph) * x.element_size() * tensors)
        budget = options.memory_budget
        if options.at_once is None and self.bytes > _ALONE_SHARE * options.room:
            raise MemoryBudgetError(
                f"the bounds of one sample alone take {self.bytes / 2**20:.1f} MiB, too much for a memory budget of "
                f"{budget / 2**20:.1f} MiB: give more (--memory, memory_budget=)"
            )

    @property
    def chunk(self) -> int:
        """How many samples to bound at once."""
        share = _SHARE_WITH_GRADIENTS if self.recorded else _SHARE
        fitting = max(1, self.options.room // share // self.bytes)
        return fitting if self.options.at_once is None else min(fitting, self.options.at_once)

    def after(self, ledger: Ledger, samples: int) -> int:
        """How many to bound next, when so many samples have come to what the ledger says: few enough to keep it all."""
        each = (ledger.kept + ledger.spared) / samples
        return max(1, min(self.chunk, int(_AIM * self.options.room / max(1.0, each))))

    def ledger(self, samples: int) -> Ledger:
        """What the gradients of so many samples keep before any row has left."""
        return Ledger(self.options.room, samples * self.bytes) if self.recorded else Ledger()


def recorded_chunk(graph: Graph, sites: Iterable[str], x: Tensor, memory_budget: int) -> int:
    """How many samples to bound at once where gradients are recorded: then every row's way back is kept."""
    scalars = 0
    for site in sites:
        scalars += graph[site].size * sum(graph[name].size for name in graph.ancestors[site] if name != site)
    return max(1, memory_budget // max(1, scalars * x.element_size() * _RECORDED))


@dataclass(frozen=True, eq=False)
class Given:
    """All tensors that a call's bounds depend on: the model's, by name, and those of the set and of what is asked."""

    tensors: Mapping[str, Tensor]
    region: Region
    known: Mapping[str, Interval]
    rows: Tensor | None


#: Bounds of a slice of the samples, and what their gradients keep.
Bound = Callable[[slice, Given], tuple["DualResult", Ledger]]


def in_chunks(bound: Bound, given: Given, size: SampleSize) -> DualResult:
    """`bound` over slices of as many samples as memory allows, put together in order.

    While gradients are recorded, all slices would be kept until the backward pass, which computes each again instead.
    """
    chunk, samples = size.chunk, given.region.count
    if samples <= chunk:
        return bound(slice(0, samples), given)[0]
    parts, start = [], 0
    while start < samples:
        part = slice(start, min(start + chunk, samples))
        if size.recorded:
            found, ledger = recomputed(partial(bound, part), given)
            chunk = size.after(ledger, part.stop - start)
        else:
            found, _ = bound(part, given)
        parts.append(found)
        start = part.stop
    return _joined(parts)


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
    failure = torch.cat([part.failure_probability for part in parts]).detach()
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
