"""Rows of all units of a site: no values decide which, so that shapes are static and a GPU need not be waited for.

On a small site that is also the cheaper way: nothing is gathered or put back, which would take longer than the rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from autodual.bounds.memory.row_chunks import Chunks
from autodual.bounds.memory.row_cost import pull_footprint, starts_windowed
from autodual.bounds.projected.projections import Projections
from autodual.bounds.rows.constrained import unit_constraints
from autodual.bounds.rows.early_exits import exits
from autodual.bounds.rows.known_values import bounded
from autodual.bounds.rows.objective_rows import Piece, pieces_of
from autodual.bounds.rows.pull import Enclosure, Progress, advance
from autodual.bounds.state.bound_state import BoundState
from autodual.dual.row_windows import Place
from autodual.dual.rows import Rows
from autodual.interval import Interval
from autodual.measured import measured
from autodual.objective import LocalFunctions


def asks_for_every_unit(state: BoundState, name: str, linear: bool) -> bool:
    """Whether rows of all units of a site are pulled, whatever values are: then nobody need look at these.

    linear: whether one row serves both ends of a unit.
    """
    options = state.options
    if options.layout == "sparse" or unit_constraints(state, name) or state.memories.get(Projections) is not None:
        return False
    if options.layout == "dense":
        return True
    if state.environment.device.type == "cpu" or options.mode == "push":
        return False
    work = pull_footprint(state, name, starts_windowed(state, name)).multiplications
    return _rows(state, name, linear) * work <= measured.work_of_a_wait


def takes_every_unit(state: BoundState, name: str, wanted: Tensor, linear: bool) -> bool:
    """Whether rows of all units of all samples cost less than to choose those of the wanted ones `[N, *shape]`.

    wanted: on the CPU. linear: whether one row serves both ends of a unit.
    """
    if state.options.layout == "sparse" or exits(state, name) or unit_constraints(state, name):
        return False
    if not _samples_together(state, name, linear):
        return False
    footprint, every = pull_footprint(state, name, windowed=False), _rows(state, name, linear)
    # Chosen rows are pulled twice, once for each side of their units, and the second time fewer of them.
    beside = 2 * measured.another_pull_work + measured.another_layer_work * footprint.layers
    spared = beside / max(1.0, footprint.multiplications)
    return every <= spared or bool((1 if linear else 1.5) * wanted.sum() >= every - spared)


def _samples_together(state: BoundState, name: str, linear: bool) -> int:
    """Of how many samples memory holds whole rows of all units at once; 0 if not of one, or if rows are windows."""
    if starts_windowed(state, name):
        return 0
    chunks, rows = Chunks(state, pull_footprint(state, name, windowed=False)), _rows(state, name, linear)
    return chunks.rows * state.samples // rows if chunks.fits(rows, state.samples) else 0


def _rows(state: BoundState, name: str, linear: bool) -> int:
    """The rows of all units of all samples."""
    return state.samples * state.graph[name].size * (1 if linear else 2)


def every_unit(state: BoundState, name: str, linear: bool) -> Interval:
    """Both bounds `[N or 1, *shape]` of every unit of a node.

    linear: whether one row serves both ends of a unit.
    """
    together = _samples_together(state, name, linear)
    return _whole(state, name, linear, together) if together else _in_pieces(state, name, linear)


def _whole(state: BoundState, name: str, linear: bool, together: int) -> Interval:
    """All rows, of so many samples at once; those of samples and of both ends part only where they must, so that
    earlier layers pull them once.
    """
    node, device, samples = state.graph[name], state.environment.device, state.samples
    rows = Rows.of_units(torch.arange(node.size, device=device), node.shape, state.environment.dtype)
    begin = Progress.start if together >= samples else Progress.start_shared
    shared = advance(state, begin(name, rows), stop=lambda other, _: state.layers[other].per_sample)
    shared = shared if linear else shared.mirrored()
    parts = [shared]
    if together < samples:
        spans = [(first, min(first + together, samples)) for first in range(0, samples, together)]
        owners = torch.arange(samples, device=device)
        parts = [shared.restrict(Place(owners[slice(*span)], span, consecutive=True)) for span in spans]
    found = [bounded(state, part) for part in parts]
    lower, upper = (
        torch.cat(ends) if len(ends) > 1 else ends[0] for ends in zip(*((one.lower, one.upper) for one in found))
    )
    if not linear:
        lower, upper = lower.chunk(2, 1)
        upper = -upper
    return Interval(lower, upper).map(lambda end: end.reshape(-1, *node.shape))


def _in_pieces(state: BoundState, name: str, linear: bool) -> Interval:
    """Some rows at a time, as windows where these are cheaper."""
    shape, signs = state.graph[name].shape, 1 if linear else 2
    like = torch.zeros((), dtype=state.environment.dtype, device=state.environment.device)
    pieces = pieces_of(state, name, _Units(shape, signs, like))
    found = pieces.results(partial(_bounds, name, linear))

    def ends(parts: list[Tensor]) -> Tensor:
        """Bounds of all rows, `[N, signs, *shape]`."""
        whole = pieces.assembled(parts)
        if pieces.by_position:
            return whole.reshape(-1, *shape[1:], signs, shape[0]).movedim((-2, -1), (1, 2))
        return whole.reshape(-1, signs, *shape)

    lower = ends([part.lower for part in found])
    if linear:
        return Interval(lower[:, 0], ends([part.upper for part in found])[:, 0])
    return Interval(lower[:, 0], -lower[:, 1])


def _bounds(name: str, linear: bool, state: BoundState, piece: Piece) -> Enclosure:
    start = Progress.start(name, piece.rows, one_sided=not linear)
    return bounded(state, start)


@dataclass(frozen=True, eq=False)
class _Units(LocalFunctions):
    """The units of a node as its functions; with two signs, followed by their negatives (at each position, if local).

    like: a number of the rows' dtype on their device.
    """

    shape: tuple[int, ...]
    signs: int
    like: Tensor

    @property
    def count(self) -> int:
        return self.signs * self.terms

    @property
    def terms(self) -> int:
        return torch.Size(self.shape).numel()

    def piece(self, owner: Tensor | None, first: int, last: int) -> Tensor:
        return self._identity(self.terms, first, last)

    @property
    def positions(self) -> tuple[int, ...]:
        return self.shape[1:]

    @property
    def rows_each(self) -> int:
        return self.signs * self.shape[0]

    def at(self, owner: Tensor, place: Tensor) -> Tensor:
        return self._identity(self.shape[0], 0, self.rows_each)

    def _identity(self, size: int, first: int, last: int) -> Tensor:
        """Rows first to last of ±1 times the identity, `[1, last − first, size]`."""
        row = torch.arange(first, last, device=self.like.device).unsqueeze(1)
        signs = (1 - 2 * (row // size)).to(self.like.dtype)
        return self.like.new_zeros(last - first, size).scatter(1, row % size, signs).unsqueeze(0)
