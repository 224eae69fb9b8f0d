"""Rows of linear functions of a node, a few at a time: over its whole extent, or as windows where each looks at one
position.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar, TypeVar

import torch
from torch import Tensor

from autodual.bounds.memory.recomputation import recomputed_rows
from autodual.bounds.memory.row_chunks import Chunks
from autodual.bounds.memory.row_cost import pull_footprint, starts_windowed
from autodual.bounds.rows.departures import positions_of
from autodual.bounds.state.bound_state import BoundState
from autodual.dual.row_windows import Window
from autodual.dual.rows import Rows
from autodual.objective import Functions, LocalFunctions

Found = TypeVar("Found")


@dataclass(frozen=True, eq=False)
class Piece:
    """Rows of some functions, first to last, for the rows' owners."""

    rows: Rows
    first: int
    last: int


@dataclass(frozen=True, eq=False)
class Pieces(ABC):
    """The rows of functions of one node, piece by piece; `assembled` puts the results together again."""

    state: BoundState
    name: str
    chunks: Chunks

    #: Whether results are ordered by position before function.
    by_position: ClassVar[bool] = False

    @abstractmethod
    def __iter__(self) -> Iterator[Piece]: ...

    @abstractmethod
    def assembled(self, parts: list[Tensor]) -> Tensor:
        """Results of all pieces in order, each `[G, K, …]`, as one tensor `[N, S, …]`."""

    def results(self, work: Callable[[BoundState, Piece], Found]) -> list[Found]:
        """What `work` makes of each piece, computed again in the backward pass where gradients have no room for it."""
        found = []
        for piece in self:
            rows = piece.rows
            groups = self.state.samples if rows.owner is None else rows.owner.shape[0]
            if self.chunks.fits(groups * rows.count, groups):
                found.append(work(self.state, piece))
            else:
                self.chunks.spare(groups * rows.count, groups)
                found.append(recomputed_rows(self.state, work, piece))
        return found

    @property
    def shape(self) -> tuple[int, ...]:
        return self.state.graph[self.name].shape


def pieces_of(state: BoundState, name: str, objective: Functions) -> Pieces:
    """Windows where they are cheaper, else whole rows. Searched slopes and constraints are of whole nodes, so need the
    latter.
    """
    searching = state.options.slopes == "optimized"
    constrained = any(one.multiplier is not None for one in state.constraints)
    if (
        isinstance(objective, LocalFunctions)
        and objective.positions == state.graph[name].shape[1:]
        and not (searching or constrained)
        and starts_windowed(state, name)
    ):
        return WindowPieces(state, name, Chunks(state, pull_footprint(state, name, windowed=True)), objective)
    chunks = Chunks(state, pull_footprint(state, name, windowed=False), searching=searching)
    return WholePieces(state, name, chunks, objective)


@dataclass(frozen=True, eq=False)
class WholePieces(Pieces):
    """Rows over the node's whole extent, samples before rows."""

    objective: Functions

    def __iter__(self) -> Iterator[Piece]:
        samples, count, limit = self.state.samples, self.objective.count, self.chunks.rows
        together = max(1, limit // count)
        every = torch.arange(samples, device=self.state.environment.device) if together < samples else None
        for chosen in (None,) if every is None else every.split(together):
            for first in range(0, count, limit):
                last = min(first + limit, count)
                rows = self.objective.piece(chosen, first, last)
                yield Piece(Rows(rows.reshape(*rows.shape[:2], *self.shape), self.shape, owner=chosen), first, last)

    def assembled(self, parts: list[Tensor]) -> Tensor:
        samples, count, rest = self.state.samples, self.objective.count, parts[0].shape[2:]
        rows: list[Tensor] = []
        block: list[Tensor] = []
        for part in parts:
            block.append(part)
            if sum(piece.shape[1] for piece in block) == count:
                rows.append(torch.cat(block, 1) if len(block) > 1 else block[0])
                block = []
        whole = torch.cat(rows) if len(rows) > 1 else rows[0]
        return whole if whole.shape[0] == samples else whole.expand(samples, count, *rest)


@dataclass(frozen=True, eq=False)
class WindowPieces(Pieces):
    """Rows of single positions, each in its own window. Groups are positions; all those of a sample come together."""

    by_position: ClassVar[bool] = True

    objective: LocalFunctions

    def __iter__(self) -> Iterator[Piece]:
        spatial, device = self.shape[1:], self.state.environment.device
        places, axes = self._positions, len(spatial)
        every, together = self.state.samples * places, self.chunks.groups(self.objective.rows_each)
        for first in range(0, every, together):
            last = min(first + together, every)
            some = torch.arange(first, last, device=device)
            owner, place = some // places, some % places
            position = positions_of(place, spatial)
            window = Window(position, (1,) * axes, (0,) * axes, spatial)
            rows = self.objective.at(owner, place)
            span = first // places, (last - 1) // places + 1
            windows = Rows(rows.reshape(*rows.shape, *[1] * axes), self.shape, owner=owner, span=span, window=window)
            yield Piece(windows, 0, rows.shape[1])

    def assembled(self, parts: list[Tensor]) -> Tensor:
        whole = torch.cat(parts)
        return whole.reshape(self.state.samples, self._positions * whole.shape[1], *whole.shape[2:])

    @property
    def _positions(self) -> int:
        return torch.Size(self.shape[1:]).numel()
