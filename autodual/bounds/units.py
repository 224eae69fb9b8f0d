"""Rows for single units of a node: started from the identity, shared by all samples for as long as they can be.

Rows of different samples are the same until they meet the first layer that depends on the data. So a few shared rows
are pulled that far, once; then each (sample, unit) that is wanted continues with its own copy, in chunks that stay in
the processor's caches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import accumulate

import torch
from torch import Tensor

from autodual.bounds.exits import StillOpen, Travellers, arrive
from autodual.bounds.footprint import pull_footprint, starts_windowed
from autodual.bounds.pull import Enclosure, Progress, advance, concretise
from autodual.bounds.state import BoundState
from autodual.dual.rows import Place, Rows, Window
from autodual.interval import Interval

#: Where the interval of samples (a slice of all) leaves units of a node undecided: bool, of the interval's shape.
Undecided = Callable[[Interval, slice], Tensor]

# A window's ragged rows cost more each than dense ones (gathers, no shared products): measured about 2 to 1.
_RAGGED_PENALTY = {True: 2.0, False: 1.2}
# Tensors of rows in flight that still live in the processor's caches; larger chunks are slower, not faster.
_CACHE_BYTES = 4 << 20
# A sample's rows are pulled apart from others' where the chunks that makes are at most so many times more.
_SPARE = 2.0
# How many times more rows of dense groups of windows are pulled at once.
_FACTORED_GAIN = 16


def rows_per_chunk(state: BoundState, name: str, windowed: bool) -> int:
    """How many rows to pull at once: what fits the budget where gradients keep them alive anyway, else the caches."""
    budget = state.options.memory_budget
    if not torch.is_grad_enabled() and state.environment.device.type == "cpu":
        budget = min(budget, _CACHE_BYTES)
    itemsize = torch.finfo(state.environment.dtype).bits // 8
    return max(1, budget // pull_footprint(state, name, windowed).bytes(itemsize))


class UnitRows:
    """Bounds of chosen units of one node; a short-lived helper of one refinement.

    undecided: where an interval of the node's samples first to last, the span, leaves something open.
    """

    def __init__(self, state: BoundState, name: str, undecided: Undecided):
        self.state, self.name, self.undecided = state, name, undecided
        self.shape = state.graph[name].shape
        self.windowed = starts_windowed(state, name)
        self.limit = rows_per_chunk(state, name, self.windowed)

    # --- what the engine asks for ------------------------------------------------------------------------------------

    def both(self, wanted: Tensor) -> Interval:
        """Both bounds of the wanted units `[N, *shape]` where one pull gives them; the present interval elsewhere."""
        groups = wanted.any(1) if self.windowed else wanted.flatten(1).any(1)
        kernel = self.shape[0] if self.windowed else self.state.graph[self.name].size
        if int(groups.sum()) * kernel <= int(wanted.sum()) * _RAGGED_PENALTY[self.windowed]:
            return self._dense(groups)
        place = wanted.nonzero()
        found = self._ragged(place, None)
        return self._with(place, found.lower, place, found.upper)

    def one_side(self, wanted: Tensor, below: Tensor) -> Interval:
        """One bound of each wanted unit, the lower where `below`, else the upper; all else stays as it is."""
        place = wanted.nonzero()
        lower_side = below[tuple(place.unbind(1))]
        found = self._ragged(place, ~lower_side).lower
        return self._with(place[lower_side], found[lower_side], place[~lower_side], -found[~lower_side])

    def _with(
        self, below: Tensor, lower: Tensor, above: Tensor, upper: Tensor, first: int = 0, last: int | None = None
    ):
        """The present interval of samples first to last, with new ends at the places `[R, 1 + d]`."""
        present = self.state.intervals[self.name].map(lambda end: end[first:last])
        return Interval(_put(present.lower, below, lower, first), _put(present.upper, above, upper, first))

    # --- single rows -------------------------------------------------------------------------------------------------

    def _ragged(self, place: Tensor, negated: Tensor | None) -> Interval:
        """One row a place `[R, 1 + d]` of (sample, unit), with the opposite sign where `negated` `[R]`: `[R]`."""
        still_open = self._still_open(place, negated)
        order, found = arrive(self.state, self.name, self._starts(place, negated), still_open, self.limit)
        lower, upper = (end.index_select(0, order.argsort()) for end in (found.lower, found.upper))
        return Interval(lower, upper)

    def _starts(self, place: Tensor, negated: Tensor | None) -> Iterator[Travellers]:
        """The rows for places, as far as they can be shared, then chunk by chunk with each sample's own copy."""
        if self.windowed:
            row, units = place[:, 1], torch.arange(self.shape[0], device=place.device)
        else:
            units, row = _ravel(place[:, 1:], self.shape).unique(return_inverse=True)
        everyone = torch.arange(place.shape[0], device=place.device)
        blocks = units.split(self.limit)
        for number, block in enumerate(blocks):
            first = number * self.limit
            some = everyone if len(blocks) == 1 else ((row >= first) & (row < first + len(block))).nonzero()[:, 0]
            if some.shape[0] == 0:
                continue
            shared = self._shared(block, mirrored=negated is not None)
            chosen = row[some] - first if negated is None else row[some] - first + negated[some] * block.shape[0]
            position = place[some, 2:] if self.windowed else None
            sizes = self._chunks(place[some, 0])
            places = _places(place[some, 0], position, sizes)
            for index, select, where in zip(some.split(sizes), chosen.split(sizes), places):
                yield Travellers(shared.select(select.unsqueeze(1), where), index, where.span)

    def _chunks(self, owner: Tensor) -> list[int]:
        """How many rows to pull at a time; each sample's apart where they are many, for then nothing is gathered."""
        rows = owner.unique_consecutive(return_counts=True)[1].tolist()
        if self.windowed or len(rows) * self.limit > _SPARE * owner.shape[0]:
            rows = [owner.shape[0]]
        return [min(self.limit, count - first) for count in rows for first in range(0, count, self.limit)]

    def _still_open(self, place: Tensor, negated: Tensor | None) -> StillOpen:
        """Whether rows' bounds, as they could be had now, leave their units undecided."""

        def still_open(some: Travellers, found: Enclosure) -> Tensor:
            first, last = some.span
            at, lower, upper = place[some.index], found.lower[:, 0].detach(), found.upper[:, 0].detach()
            if negated is None:
                interval = self._with(at, lower, at, upper, first, last)
            else:
                below = ~negated[some.index]
                interval = self._with(at[below], lower[below], at[~below], -lower[~below], first, last)
            here = (at[:, 0] - first, *at[:, 1:].unbind(1))
            return self.undecided(interval, slice(first, last))[here]

        return still_open

    def _shared(self, units: Tensor, mirrored: bool) -> Progress:
        """Identity rows for units (channels, if windowed), then their negatives, as far as all samples share them."""
        environment, size = self.state.environment, self.shape[0] if self.windowed else self.state.graph[self.name].size
        base = torch.zeros(units.shape[0], size, dtype=environment.dtype, device=environment.device)
        base = base.scatter(1, units.unsqueeze(1), 1.0)
        if mirrored:
            base = torch.cat([base, -base])
        window = None
        if self.windowed:
            spatial = self.shape[1:]
            window = Window(None, (1,) * len(spatial), (0,) * len(spatial), spatial)
            extent: tuple[int, ...] = (size, *(1,) * len(spatial))
        else:
            extent = self.shape
        rows = Rows(base.reshape(1, -1, *extent), self.shape, window=window)
        return advance(self.state, Progress.start_shared(self.name, rows), stop=self._differs)

    def _differs(self, name: str, progress: Progress) -> bool:
        """Whether rows can no longer be shared: samples part at this layer, or it must be known where windows lie."""
        layer, rows = self.state.layers[name], progress.pending[name]
        if rows.window is None:
            return layer.per_sample
        meets = any(parent in progress.pending for parent in self.state.graph[name].inputs)
        placeless = layer.windowed and layer.uniform and rows.cropped and not rows.outgrown
        return layer.per_sample or meets or not placeless

    def _group_chunks(self, groups: int, count: int) -> list[int]:
        """How many groups of `count` rows to pull at a time; factored rows are never laid out, so more of them fit."""
        most = max(1, self.limit * (_FACTORED_GAIN if self.windowed else 1) // count)
        return [min(most, groups - first) for first in range(0, groups, most)]

    # --- whole groups ------------------------------------------------------------------------------------------------

    def _dense(self, groups: Tensor) -> Interval:
        """All channels at the marked positions `[N, *spatial]`, or all units of the marked samples `[N]`."""
        place = groups.nonzero()
        interval = self.state.intervals[self.name]
        kernel = self.shape[0] if self.windowed else self.state.graph[self.name].size
        lower, upper = (
            end.movedim(1, -1) if self.windowed else end.flatten(1) for end in (interval.lower, interval.upper)
        )
        units = torch.arange(kernel, device=groups.device)
        for some in units.split(self.limit):
            shared = self._shared(some, mirrored=False)
            parts = []
            position = place[:, 1:] if self.windowed else None
            for where in _places(place[:, 0], position, self._group_chunks(place.shape[0], some.shape[0])):
                parts.append(concretise(self.state, advance(self.state, shared.restrict(where))))
            index = (*(axis.unsqueeze(1) for axis in place.unbind(1)), some)
            lower = lower.index_put(index, torch.cat([part.lower for part in parts]))
            upper = upper.index_put(index, torch.cat([part.upper for part in parts]))
        if self.windowed:
            return Interval(lower.movedim(-1, 1), upper.movedim(-1, 1))
        return Interval(lower.reshape(-1, *self.shape), upper.reshape(-1, *self.shape))


def _put(end: Tensor, place: Tensor, values: Tensor, first: int) -> Tensor:
    """Values `[R]` put at places `[R, 1 + d]` of a tensor whose samples start at `first`."""
    return end.index_put((place[:, 0] - first, *place[:, 1:].unbind(1)), values)


def _places(owner: Tensor, position: Tensor | None, sizes: list[int]) -> Iterator[Place]:
    """Places of chunks of groups of these sizes; owners are in increasing order."""
    firsts = [0, *accumulate(sizes)][:-1]
    ends = owner[[*firsts, *(first + size - 1 for first, size in zip(firsts, sizes))]].tolist()
    starts, lasts = ends[: len(sizes)], ends[len(sizes) :]
    positions = [None] * len(sizes) if position is None else position.split(sizes)
    for some, at, first, last in zip(owner.split(sizes), positions, starts, lasts):
        yield Place(some, (first, last + 1), at)


def _ravel(index: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Flat positions of multi-indices `[R, d]` in an array of the given shape."""
    flat = torch.zeros_like(index[:, 0])
    for axis, extent in enumerate(shape):
        flat = flat * extent + index[:, axis]
    return flat
