"""Rows of single units before they are pulled: which are asked for, and where each belongs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from autodual.dual.row_windows import Place


@dataclass(frozen=True, eq=False)
class AskedRows:
    """Rows that are asked for: their places `[R, 1 + d]` of (sample, unit), and which of them are negated `[R]`.

    on_host: the places on the CPU, where it is decided how to group the rows. A GPU is waited for only once for that.
    """

    on_host: Tensor
    place: Tensor
    negated: Tensor | None = None

    @classmethod
    def of(cls, wanted: Tensor, device: torch.device, upper: Tensor | None = None) -> AskedRows:
        """The wanted units `[N, *shape]`, bool on the CPU; negated rows for those of `upper`, bool on the device."""
        on_host = wanted.nonzero()
        place = on_host.to(device)
        return cls(on_host, place, None if upper is None else upper[place.unbind(1)])

    def index(self, some: Tensor | slice, first: int = 0) -> tuple[Tensor, ...]:
        """Where some of the units are in a tensor `[*, *shape]` whose samples start at `first`."""
        sample, *unit = self.place[some].unbind(1)
        return (sample - first if first else sample, *unit)


@dataclass(frozen=True, eq=False)
class Departure:
    """Single rows before they are pulled: which of the wanted rows they are `[R]`, and where they belong.

    units: the units (channels, if windowed) that have identity rows, followed by their negatives if `mirrored`.
    chosen: for each row of each group, its place among these, `[G, K]`. place: where the groups are.
    cells: where the R rows are among the G · K, the others being padding; None where there is none.
    """

    units: Tensor
    mirrored: bool
    chosen: Tensor
    place: Place
    index: Tensor
    cells: Tensor | None = None

    def alone(self) -> Departure:
        """The same rows, without units that none of them needs."""
        count = self.units.shape[0]
        some, chosen = (self.chosen % count).unique(return_inverse=True)
        chosen = chosen + (self.chosen >= count) * some.shape[0]
        return Departure(self.units[some], self.mirrored, chosen, self.place, self.index, self.cells)


def flat_positions(index: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Flat positions of multi-indices `[R, d]` in an array of the given shape."""
    flat = index.new_zeros(index.shape[0])
    for axis, extent in enumerate(shape):
        flat = flat * extent + index[:, axis]
    return flat


def positions_of(flat: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Multi-indices `[R, d]` of flat positions `[R]`; torch.unravel_index loads a computer algebra system."""
    found = []
    for extent in reversed(shape):
        found.append(flat % extent)
        flat = flat // extent
    return torch.stack(found[::-1], 1)
