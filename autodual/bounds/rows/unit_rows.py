"""Rows for single units of a node: started from the identity, shared by all samples for as long as they can be.

Rows of different samples are the same until they meet the first layer that depends on the data. So a few shared rows
are pulled that far, once; then each (sample, unit) that is wanted continues with its own copy, in chunks that stay in
the processor's caches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain

import torch
from torch import Tensor

from autodual.bounds.memory.recomputation import recomputed_rows
from autodual.bounds.memory.row_chunks import Chunks
from autodual.bounds.memory.row_cost import pull_footprint, starts_windowed
from autodual.bounds.rows.constrained import barrier, constrain_units, unit_constraints
from autodual.bounds.rows.departures import AskedRows, Departure, flat_positions
from autodual.bounds.rows.early_exits import Arrivals, StillOpen, Travellers, arrive, exits
from autodual.bounds.rows.pull import Enclosure, Progress
from autodual.bounds.rows.row_groups import RowGroups
from autodual.bounds.rows.shared_rows import SharedRows
from autodual.bounds.rows.whole_groups import whole_groups
from autodual.bounds.state.bound_state import BoundState
from autodual.interval import Interval
from autodual.measured import measured
from autodual.tensors import flat

#: Where the interval of samples (a slice of all) leaves units of a node undecided, in a state: bool, of its shape.
Undecided = Callable[[BoundState, Interval, slice], Tensor]


class UnitRows:
    """Bounds of chosen units of one node; lives for one refinement.

    undecided: mask of units that an interval of the samples in a span leaves open. limit: the most rows to pull at
    once; None for as many as memory allows.
    """

    def __init__(self, state: BoundState, name: str, undecided: Undecided, limit: int | None = None):
        self.state, self.name, self.undecided = state, name, undecided
        self.shape = state.graph[name].shape
        self.windowed = starts_windowed(state, name)
        self.chunks = Chunks(state, pull_footprint(state, name, self.windowed))
        self.limit = self.chunks.rows if limit is None else limit
        #: Rows that all subproblems share may not pass this node before constraints join them.
        self.barrier = barrier(state, unit_constraints(state, name))
        self.shared = SharedRows(state, name, self.windowed, self.barrier)
        #: Whether rows of one sample, with the same window, may be pulled as one group: they stay together.
        self.packs = self.barrier < 0 and not exits(state, name)
        # Rows whose pull takes as long as all that one more pull costs beside its own.
        padding = measured.another_pull_work / max(1.0, self.chunks.footprint.multiplications)
        self.groups = RowGroups(self.shape, self.windowed, self.packs, self.limit, padding)

    # --- what the engine asks for ------------------------------------------------------------------------------------

    def both(self, wanted: Tensor) -> Interval:
        """Both bounds of the wanted units `[N, *shape]`, where one pull gives them; other units keep their interval.

        wanted: a mask on the CPU, here and below.
        """
        groups = wanted.any(1) if self.windowed else flat(wanted).any(1)
        kernel = self.shape[0] if self.windowed else self.state.graph[self.name].size
        ragged = measured.ragged_window_cost if self.windowed else measured.ragged_row_cost
        if int(groups.sum()) * kernel <= int(wanted.sum()) * ragged:
            return whole_groups(self.chunks, self.shared, groups, self.limit)
        asked = AskedRows.of(wanted, self.device)
        return self._with(asked, slice(None), self._ragged(asked))

    def one_side(self, wanted: Tensor, upper: Tensor) -> Interval:
        """One bound of each wanted unit, the upper one where `upper`, else the lower; everything else stays."""
        asked = AskedRows.of(wanted, self.device, upper)
        return self._with(asked, slice(None), self._ragged(asked))

    def few(self, wanted: Tensor) -> bool:
        """Whether one pull of both sides' rows for all wanted units takes no longer than a pull for each side.

        The second pull would be for fewer units. It costs a GPU more, which waits for the host twice then.
        """
        if exits(self.state, self.name) or self.barrier >= 0:
            return False
        return int(wanted.sum()) * self.chunks.footprint.multiplications <= measured.another_pull_work

    def both_sides(self, wanted: Tensor) -> Interval:
        """Both bounds of each wanted unit by a row for each side, pulled together; other units keep their interval."""
        asked = AskedRows.of(wanted, self.device)
        twice = AskedRows(
            asked.on_host.repeat_interleave(2, 0),
            asked.place.repeat_interleave(2, 0),
            torch.arange(2 * asked.place.shape[0], device=self.device) % 2 == 1,
        )
        lower, upper = self._ragged(twice).lower.unflatten(0, (-1, 2)).unbind(1)
        return self._with(asked, slice(None), Interval(lower, -upper))

    @property
    def device(self) -> torch.device:
        return self.state.environment.device

    def _with(
        self, asked: AskedRows, some: Tensor | slice, found: Interval, first: int = 0, last: int | None = None
    ) -> Interval:
        """The present interval of samples first to last, with the bounds `[R]` of some rows in it."""
        whole = self.state.interval(self.name)
        present = whole if last is None else whole.map(lambda end: end[first:last])
        index, lower, upper = asked.index(some, first), found.lower, found.upper
        if asked.negated is not None:
            negated = asked.negated[some]
            upper = torch.where(negated, -lower, present.upper[index])
            lower = torch.where(negated, present.lower[index], lower)
        return Interval(present.lower.index_put(index, lower), present.upper.index_put(index, upper))

    # --- single rows -------------------------------------------------------------------------------------------------

    def _ragged(self, asked: AskedRows) -> Interval:
        """Bounds `[R]` of the rows that are asked for."""
        still_open, departures = self._still_open(asked), self.groups.departures(asked)
        late: list[Departure] = []
        left: Arrivals = []
        travellers = self._travellers(departures, asked, left, late)
        arrive(self.state, self.name, travellers, still_open, self.limit, left)
        for departure in chain(late, departures):
            self.chunks.spare(departure.chosen.numel(), departure.chosen.shape[0])
            way = partial(_one_chunk, self.name, self.undecided, self.limit, departure, asked)
            left.append((departure.index, recomputed_rows(self.state, way)))
        if len(left) == 1 and self.packs and not self.windowed:
            ((_, alone),) = left  # all rows, in their order
            return Interval(alone.lower[:, 0], alone.upper[:, 0])
        return _in_order(left)

    def _travellers(
        self, departures: Iterator[Departure], asked: AskedRows, left: Arrivals, late: list[Departure]
    ) -> Iterator[Travellers]:
        """Rows to pull, as long as gradients have room for them; the first departure that has none is appended to
        `late`.
        """
        units, shared, started = None, None, 0
        for departure in departures:
            started += departure.chosen.numel()
            if not self.chunks.fits(started - sum(index.shape[0] for index, _ in left)):
                late.append(departure)
                return
            if shared is None or units is not departure.units:
                units, shared = departure.units, self.shared.of(departure.units, mirrored=departure.mirrored)
            yield self._traveller(departure, shared, asked)

    def _traveller(self, departure: Departure, shared: Progress, asked: AskedRows) -> Travellers:
        progress = shared.select(departure.chosen, departure.place)
        if self.barrier >= 0:
            unit = flat_positions(asked.place[departure.index, 1:], self.shape)
            upper = torch.zeros_like(unit) if asked.negated is None else asked.negated[departure.index]
            progress = constrain_units(self.state, progress, self.name, departure.place, unit, upper)
        return Travellers(progress, departure.index, departure.place.span, departure.cells)

    def chunk(self, departure: Departure, asked: AskedRows) -> Enclosure:
        """Bounds of one chunk of rows by itself, in their order."""
        departure = departure if self.windowed else departure.alone()
        shared = self.shared.of(departure.units, mirrored=departure.mirrored)
        some = self._traveller(departure, shared, asked)
        left: Arrivals = []
        arrive(self.state, self.name, [some], self._still_open(asked), self.limit, left)
        if self.packs:
            ((_, alone),) = left
            return alone
        found = _in_order(left)
        return Enclosure(found.lower.unsqueeze(1), found.upper.unsqueeze(1))

    def _still_open(self, asked: AskedRows) -> StillOpen:
        """A test for rows on their way: would these bounds leave their units undecided?"""

        def still_open(some: Travellers, found: Enclosure) -> Tensor:
            first, last = some.span
            bounds = Interval(found.lower[:, 0].detach(), found.upper[:, 0].detach())
            interval = self._with(asked, some.index, bounds, first, last)
            return self.undecided(self.state, interval, slice(first, last))[asked.index(some.index, first)]

        return still_open


def _one_chunk(
    name: str, undecided: Undecided, limit: int, departure: Departure, asked: AskedRows, state: BoundState
) -> Enclosure:
    return UnitRows(state, name, undecided, limit).chunk(departure, asked)


def _in_order(left: Arrivals) -> Interval:
    """Bounds `[R]` of single rows in the order of their indices."""
    order = torch.cat([index for index, _ in left]).argsort()
    lower = torch.cat([enclosure.lower[:, 0] for _, enclosure in left])
    upper = torch.cat([enclosure.upper[:, 0] for _, enclosure in left])
    return Interval(lower.index_select(0, order), upper.index_select(0, order))
