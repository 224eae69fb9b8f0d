"""How single rows are cut into chunks to pull at a time, and grouped within them: where each group belongs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from autodual.bounds.memory.row_chunks import chunk_sizes, spans
from autodual.bounds.rows.departures import AskedRows, Departure, flat_positions, positions_of
from autodual.bounds.rows.packing import Pack, packs
from autodual.dual.row_windows import Place


@dataclass(frozen=True, eq=False)
class RowGroups:
    """How rows of single units of a node of this shape are grouped.

    windowed: whether rows are windows. packed: whether rows of one home, which is a sample or a window of it, may be
    one group. limit: the most rows to pull at once. padding: how many rows may be added to a pack, rather than to pull
    them in two.
    """

    shape: tuple[int, ...]
    windowed: bool
    packed: bool
    limit: int
    padding: float

    def departures(self, asked: AskedRows) -> Iterator[Departure]:
        """The rows that are asked for, chunk by chunk."""
        place, negated, device = asked.on_host, asked.negated, asked.place.device
        if self.windowed:
            row, units = place[:, 1], torch.arange(self.shape[0])
        else:
            units, row = flat_positions(place[:, 1:], self.shape).unique(return_inverse=True)
        everyone = torch.arange(place.shape[0])
        blocks = units.split(self.limit)
        for number, block in enumerate(blocks):
            first = number * self.limit
            some = everyone if len(blocks) == 1 else ((row >= first) & (row < first + len(block))).nonzero()[:, 0]
            if some.shape[0] == 0:
                continue
            home = self._homes(place[some])
            if self.windowed and self.packed:
                home, order = home.sort(stable=True)
                some = some[order]
            index, chosen = some.to(device), (row[some] - first).to(device)
            if negated is not None:
                chosen = chosen + negated[index] * block.shape[0]
            departure = partial(Departure, block.to(device), negated is not None)
            if self.packed:
                for pack in packs(home, self.limit, self.padding):
                    yield self._together(departure, pack, chosen, index)
            else:
                yield from self._single(departure, asked, place[some, 0], chosen, index)

    def _homes(self, place: Tensor) -> Tensor:
        """Numbers `[R]` for the samples of places `[R, 1 + d]`, or for the samples and positions of windows."""
        if not self.windowed:
            return place[:, 0]
        spatial = self.shape[1:]
        return place[:, 0] * torch.Size(spatial).numel() + flat_positions(place[:, 2:], spatial)

    def _together(self, departure: Callable[..., Departure], pack: Pack, chosen: Tensor, index: Tensor) -> Departure:
        """The chosen rows `[R]` of a pack, in groups."""
        device, groups, rows = chosen.device, pack.home.shape[0], pack.rows
        rows = rows if isinstance(rows, slice) else rows.to(device)
        cells = None if pack.cells is None else pack.cells.to(device)
        cell = chosen[rows]
        if cells is not None:
            cell = cell.new_zeros(groups * pack.count).index_put((cells,), cell)
        return departure(cell.reshape(groups, -1), self._place(pack.home, device), index[rows], cells)

    def _place(self, home: Tensor, device: torch.device) -> Place:
        """Where groups with these homes `[G]`, in increasing order, belong."""
        if not self.windowed:
            first, last = int(home[0]), int(home[-1]) + 1
            return Place(home.to(device), (first, last), consecutive=last - first == home.shape[0])
        spatial = self.shape[1:]
        places = torch.Size(spatial).numel()
        owner, position = home // places, positions_of(home % places, spatial)
        return Place(owner.to(device), (int(owner[0]), int(owner[-1]) + 1), position.to(device))

    def _single(
        self, departure: Callable[..., Departure], asked: AskedRows, owner: Tensor, chosen: Tensor, index: Tensor
    ) -> Iterator[Departure]:
        """The chosen rows `[R]`, each a group of its own."""
        position = asked.place[index, 2:] if self.windowed else None
        sizes = self._sizes(owner)
        chunks = places(owner, owner.to(chosen.device), position, sizes)
        for part, select, where in zip(index.split(sizes), chosen.unsqueeze(1).split(sizes), chunks):
            yield departure(select, where, part)

    def _sizes(self, owner: Tensor) -> list[int]:
        """How many rows to pull at a time."""
        if self.windowed:
            return [min(self.limit, owner.shape[0] - first) for first in range(0, owner.shape[0], self.limit)]
        return chunk_sizes(owner, self.limit)


def places(on_host: Tensor, owner: Tensor, position: Tensor | None, sizes: list[int]) -> Iterator[Place]:
    """Places of chunks of groups of these sizes; owners are in increasing order, on the CPU and on the device."""
    positions = [None] * len(sizes) if position is None else position.split(sizes)
    for some, at, span in zip(owner.split(sizes), positions, spans(on_host, sizes)):
        yield Place(some, span, at)
