"""Rows for single units of a node: started from the identity, shared by all samples for as long as they can be.

Rows of different samples are the same until they meet the first layer that depends on the data. So a few shared rows
are pulled that far, once; then each (sample, unit) that is wanted continues with its own copy, in chunks that stay in
the processor's caches.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from autodual.bounds.footprint import pull_footprint, starts_windowed
from autodual.bounds.pull import Progress, advance, concretise
from autodual.bounds.state import BoundState
from autodual.dual.rows import Place, Rows, Window
from autodual.interval import Interval

# Ragged rows cost more a row than dense ones (gathers, no shared products): measured about 2 to 1.
_RAGGED_PENALTY = 2.0
# Tensors of rows in flight that still live in the processor's caches; larger chunks are slower, not faster.
_CACHE_BYTES = 4 << 20
# How many times more rows of dense groups of windows are pulled at once.
_FACTORED_GAIN = 16


def rows_per_chunk(state: BoundState, name: str, windowed: bool) -> int:
    """How many rows to pull at once: what fits the budget where gradients keep them alive anyway, else the caches."""
    budget = state.options.memory_budget
    if not torch.is_grad_enabled():
        budget = min(budget, _CACHE_BYTES)
    itemsize = torch.finfo(state.environment.dtype).bits // 8
    return max(1, budget // pull_footprint(state, name, windowed).bytes(itemsize))


class UnitRows:
    """Bounds of chosen units of one node; a short-lived helper of one refinement."""

    def __init__(self, state: BoundState, name: str):
        self.state, self.name = state, name
        self.shape = state.graph[name].shape
        self.windowed = starts_windowed(state, name)
        self.limit = rows_per_chunk(state, name, self.windowed)

    # --- what the engine asks for ------------------------------------------------------------------------------------

    def both(self, wanted: Tensor) -> Interval:
        """Both bounds of the wanted units `[N, *shape]` where one pull gives them; the present interval elsewhere."""
        groups = wanted.any(1) if self.windowed else wanted.flatten(1).any(1)
        kernel = self.shape[0] if self.windowed else self.state.graph[self.name].size
        if int(groups.sum()) * kernel <= int(wanted.sum()) * _RAGGED_PENALTY:
            return self._dense(groups)
        place = wanted.nonzero()
        found = self._ragged(place, None)
        return Interval(self._put("lower", place, found.lower), self._put("upper", place, found.upper))

    def one_side(self, wanted: Tensor, below: Tensor) -> Interval:
        """One bound of each wanted unit, the lower where `below`, else the upper; all else stays as it is."""
        place = wanted.nonzero()
        lower_side = below[tuple(place.unbind(1))]
        found = self._ragged(place, ~lower_side).lower
        return Interval(
            self._put("lower", place[lower_side], found[lower_side]),
            self._put("upper", place[~lower_side], -found[~lower_side]),
        )

    def _put(self, end: str, place: Tensor, values: Tensor) -> Tensor:
        return getattr(self.state.intervals[self.name], end).index_put(tuple(place.unbind(1)), values)

    # --- single rows -------------------------------------------------------------------------------------------------

    def _ragged(self, place: Tensor, negated: Tensor | None) -> Interval:
        """One row a place `[R, 1 + d]` of (sample, unit), with the opposite sign where `negated` `[R]`: `[R]`."""
        if self.windowed:
            row, position = place[:, 1], place[:, 2:]
            units = torch.arange(self.shape[0], device=place.device)
        else:
            units, row = _ravel(place[:, 1:], self.shape).unique(return_inverse=True)
            position = None
        blocks = units.split(self.limit)
        if len(blocks) == 1:
            return self._ragged_block(place[:, 0], units, row, position, negated)
        lower = upper = self.state.intervals[self.name].lower.new_zeros(place.shape[0])
        for number, block in enumerate(blocks):
            some = ((row >= number * self.limit) & (row < number * self.limit + block.shape[0])).nonzero()[:, 0]
            if some.shape[0] == 0:
                continue
            at = None if position is None else position[some]
            sign = None if negated is None else negated[some]
            found = self._ragged_block(place[some, 0], block, row[some] - number * self.limit, at, sign)
            lower, upper = lower.index_copy(0, some, found.lower), upper.index_copy(0, some, found.upper)
        return Interval(lower, upper)

    def _ragged_block(
        self, owner: Tensor, units: Tensor, row: Tensor, position: Tensor | None, negated: Tensor | None
    ) -> Interval:
        """Row row[r] of the identity over `units` for sample owner[r]: `[R]`."""
        shared = self._shared(units, mirrored=negated is not None)
        if negated is not None:
            row = row + negated * units.shape[0]
        found = []
        for index, place in zip(row.split(self.limit), _places(owner, position, self.limit)):
            progress = shared.select(index.unsqueeze(1), place)
            found.append(concretise(self.state, advance(self.state, progress)))
        return Interval(
            torch.cat([part.lower[:, 0] for part in found]), torch.cat([part.upper[:, 0] for part in found])
        )

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

    def _groups(self, count: int) -> int:
        """How many groups of `count` rows to pull at once; factored rows are never laid out, so more of them fit."""
        return max(1, self.limit * (_FACTORED_GAIN if self.windowed else 1) // count)

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
            for where in _places(place[:, 0], place[:, 1:] if self.windowed else None, self._groups(some.shape[0])):
                parts.append(concretise(self.state, advance(self.state, shared.restrict(where))))
            index = (*(axis.unsqueeze(1) for axis in place.unbind(1)), some)
            lower = lower.index_put(index, torch.cat([part.lower for part in parts]))
            upper = upper.index_put(index, torch.cat([part.upper for part in parts]))
        if self.windowed:
            return Interval(lower.movedim(-1, 1), upper.movedim(-1, 1))
        return Interval(lower.reshape(-1, *self.shape), upper.reshape(-1, *self.shape))


def _places(owner: Tensor, position: Tensor | None, size: int) -> Iterator[Place]:
    """Places of at most `size` groups each; owners are in increasing order."""
    ends = owner[[*range(0, owner.shape[0], size), *range(size - 1, owner.shape[0] - 1, size), -1]].tolist()
    starts, lasts = ends[: len(ends) // 2], ends[len(ends) // 2 :]
    positions = [None] * len(starts) if position is None else position.split(size)
    for some, at, first, last in zip(owner.split(size), positions, starts, lasts):
        yield Place(some, (first, last + 1), at)


def _ravel(index: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Flat positions of multi-indices `[R, d]` in an array of the given shape."""
    flat = torch.zeros_like(index[:, 0])
    for axis, extent in enumerate(shape):
        flat = flat * extent + index[:, axis]
    return flat
