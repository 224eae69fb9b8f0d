"""An objective's rows a few at a time: over a node's whole extent, or as windows where each looks at one position."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from autodual.bounds.memory.row_chunks import Chunks
from autodual.bounds.memory.row_cost import pull_footprint, starts_windowed
from autodual.bounds.state.bound_state import BoundState
from autodual.dual.row_windows import Window
from autodual.dual.rows import Rows
from autodual.objective import LocalObjective, Objective


@dataclass(frozen=True, eq=False)
class Piece:
    """Some of an objective's rows: its functions first to last, for the rows' owners."""

    rows: Rows
    first: int
    last: int


@dataclass(frozen=True, eq=False)
class Pieces(ABC):
    """The rows of an objective of one node, piece by piece; `assembled` puts the results together again."""

    state: BoundState
    name: str
    chunks: Chunks

    @abstractmethod
    def __iter__(self) -> Iterator[Piece]: ...

    @abstractmethod
    def assembled(self, parts: list[Tensor]) -> Tensor:
        """Results of all pieces in order, each `[G, K, …]`, as one tensor `[N, S, …]`."""

    @property
    def shape(self) -> tuple[int, ...]:
        return self.state.graph[self.name].shape


def pieces_of(state: BoundState, name: str, objective: Objective) -> Pieces:
    """Windows where they are cheaper, else whole rows. Searched slopes and constraints are of whole nodes, so need the
    latter.
    """
    searching = state.options.slopes == "optimized"
    constrained = any(one.multiplier is not None for one in state.constraints)
    if (
        isinstance(objective, LocalObjective)
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

    objective: Objective

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

    objective: LocalObjective

    def __iter__(self) -> Iterator[Piece]:
        spatial, device = self.shape[1:], self.state.environment.device
        places, axes = self._positions, len(spatial)
        every = torch.arange(self.state.samples * places, device=device)
        for some in every.split(self.chunks.groups(self.objective.rows_each)):
            owner, place = some // places, some % places
            position = torch.stack(torch.unravel_index(place, spatial), 1)
            window = Window(position, (1,) * axes, (0,) * axes, spatial)
            rows = self.objective.at(owner, place)
            span = int(some[0]) // places, int(some[-1]) // places + 1
            windows = Rows(rows.reshape(*rows.shape, *[1] * axes), self.shape, owner=owner, span=span, window=window)
            yield Piece(windows, 0, rows.shape[1])

    def assembled(self, parts: list[Tensor]) -> Tensor:
        whole = torch.cat(parts)
        return whole.reshape(self.state.samples, self._positions * whole.shape[1], *whole.shape[2:])

    @property
    def _positions(self) -> int:
        return torch.Size(self.shape[1:]).numel()
