"""How many rows of a node to pull at once within the memory budget, and whether gradients may keep their way."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor

from autodual.bounds.memory.row_cost import Footprint
from autodual.bounds.state.bound_state import BoundState
from autodual.measured import measured

# Part of the budget for rows in flight, and for all that gradients keep of one chunk's way.
_FLIGHT_SHARE, _WAY_SHARE = 3, 8
# How many times as much as gradients alone a search for slopes keeps: choices of its own, and how they have moved.
_SEARCH = 4


# A sample's rows are pulled apart from others' where the chunks that makes are at most so many times more.
_SPARE = 2.0


def chunk_sizes(owner: Tensor, limit: int) -> list[int]:
    """How many rows to pull at a time, at most `limit`; samples with many rows go alone, since nothing must be gathered
    then.

    owner: the sample of each row, in increasing order, on the CPU.
    """
    rows = owner.unique_consecutive(return_counts=True)[1].tolist()
    if len(rows) * limit > _SPARE * owner.shape[0]:
        rows = [owner.shape[0]]
    return [min(limit, count - first) for count in rows for first in range(0, count, limit)]


def spans(owner: Tensor, sizes: Sequence[int]) -> list[tuple[int, int]]:
    """First and last sample (excluded) of each chunk of rows, as `chunk_sizes` makes them."""
    firsts = [0, *accumulate(sizes)][:-1]
    ends = owner[[*firsts, *(first + size - 1 for first, size in zip(firsts, sizes))]].tolist()
    return [(first, last + 1) for first, last in zip(ends[: len(sizes)], ends[len(sizes) :])]


class Chunks:
    """Chunk sizes for the rows of one node, whose cost is a pull from there.

    One row always fits: it takes less than its sample, for which there is room already.
    """

    def __init__(self, state: BoundState, footprint: Footprint, *, searching: bool = False):
        self.state, self.footprint, self.searching = state, footprint, searching
        self.recorded = torch.is_grad_enabled()
        #: At most so many rows at once, each a group of its own.
        self.rows = self.groups(1)

    def groups(self, count: int, gain: int = 1) -> int:
        """The most groups of `count` rows to pull at once; `gain`: how many times more than the caches hold."""
        options, row = self.state.options, self.footprint.bytes(self.state.itemsize)
        room = options.room // _FLIGHT_SHARE
        if not self.recorded and self.state.environment.device.type == "cpu":
            room = min(room, measured.cache_bytes * gain)
        most = room // (count * row)
        if self.recorded or self.searching:
            kept = self._kept(count, 1) * (_SEARCH if self.searching else 1)
            most = min(most, options.room // _WAY_SHARE // max(1, kept))
        if options.at_once is not None:
            most = min(most, options.at_once // count)
        return max(1, most)

    def fits(self, rows: int, groups: int | None = None) -> bool:
        """Whether gradients may keep what a pull of so many rows records; without `groups` each row is a group."""
        return not self.recorded or self.state.ledger.fits(self._kept(rows, rows if groups is None else groups))

    def spare(self, rows: int, groups: int | None = None) -> None:
        """Note that so many rows are computed again in the backward pass rather than kept."""
        self.state.ledger.spare(self._kept(rows, rows if groups is None else groups))

    def _kept(self, rows: int, groups: int) -> int:
        """Bytes that gradients keep of so many rows in so many groups."""
        scalars = rows * self.footprint.kept + groups * self.footprint.kept_by_group
        return scalars * self.state.itemsize
