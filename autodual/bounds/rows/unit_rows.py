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
from autodual.bounds.memory.row_chunks import Chunks, chunk_sizes, spans
from autodual.bounds.memory.row_cost import pull_footprint, starts_windowed
from autodual.bounds.rows.constrained import barrier, constrain_units, unit_constraints
from autodual.bounds.rows.departures import AskedRows, Departure
from autodual.bounds.rows.early_exits import Arrivals, StillOpen, Travellers, arrive, exits
from autodual.bounds.rows.packing import Pack, packs
from autodual.bounds.rows.pull import Enclosure, Progress, advance, concretise
from autodual.bounds.state.bound_state import BoundState
from autodual.dual.row_windows import Place, Window
from autodual.dual.rows import Rows
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
        #: Whether rows of one sample, with the same window, may be pulled as one group: they stay together.
        self.packs = self.barrier < 0 and not exits(state, name)
        #: Rows whose pull takes as long as all that one more pull costs beside its own.
        self.padding = measured.another_pull_work / max(1.0, self.chunks.footprint.multiplications)

    # --- what the engine asks for ------------------------------------------------------------------------------------

    def both(self, wanted: Tensor) -> Interval:
        """Both bounds of the wanted units `[N, *shape]`, where one pull gives them; other units keep their interval.

        wanted: a mask on the CPU, here and below.
        """
        groups = wanted.any(1) if self.windowed else flat(wanted).any(1)
        kernel = self.shape[0] if self.windowed else self.state.graph[self.name].size
        ragged = measured.ragged_window_cost if self.windowed else measured.ragged_row_cost
        if int(groups.sum()) * kernel <= int(wanted.sum()) * ragged:
            return self._dense(groups)
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
        still_open, departures = self._still_open(asked), self._departures(asked)
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
                units, shared = departure.units, self._shared(departure.units, departure.mirrored)
            yield self._traveller(departure, shared, asked)

    def _traveller(self, departure: Departure, shared: Progress, asked: AskedRows) -> Travellers:
        progress = shared.select(departure.chosen, departure.place)
        if self.barrier >= 0:
            unit = _ravel(asked.place[departure.index, 1:], self.shape)
            upper = torch.zeros_like(unit) if asked.negated is None else asked.negated[departure.index]
            progress = constrain_units(self.state, progress, self.name, departure.place, unit, upper)
        return Travellers(progress, departure.index, departure.place.span, departure.cells)

    def chunk(self, departure: Departure, asked: AskedRows) -> Enclosure:
        """Bounds of one chunk of rows by itself, in their order."""
        departure = departure if self.windowed else departure.alone()
        shared = self._shared(departure.units, departure.mirrored)
        some = self._traveller(departure, shared, asked)
        left: Arrivals = []
        arrive(self.state, self.name, [some], self._still_open(asked), self.limit, left)
        if self.packs:
            ((_, alone),) = left
            return alone
        found = _in_order(left)
        return Enclosure(found.lower.unsqueeze(1), found.upper.unsqueeze(1))

    def _departures(self, asked: AskedRows) -> Iterator[Departure]:
        """The rows that are asked for, chunk by chunk."""
        place, negated = asked.on_host, asked.negated
        if self.windowed:
            row, units = place[:, 1], torch.arange(self.shape[0])
        else:
            units, row = _ravel(place[:, 1:], self.shape).unique(return_inverse=True)
        everyone = torch.arange(place.shape[0])
        blocks = units.split(self.limit)
        for number, block in enumerate(blocks):
            first = number * self.limit
            some = everyone if len(blocks) == 1 else ((row >= first) & (row < first + len(block))).nonzero()[:, 0]
            if some.shape[0] == 0:
                continue
            home = self._homes(place[some])
            if self.windowed and self.packs:
                home, order = home.sort(stable=True)
                some = some[order]
            index, chosen, here = some.to(self.device), (row[some] - first).to(self.device), block.to(self.device)
            if negated is not None:
                chosen = chosen + negated[index] * block.shape[0]
            departure = partial(Departure, here, negated is not None)
            if self.packs:
                for pack in packs(home, self.limit, self.padding):
                    yield self._packed(departure, pack, chosen, index)
            else:
                yield from self._single(departure, asked, place[some, 0], chosen, index)

    def _homes(self, place: Tensor) -> Tensor:
        """Numbers `[R]` for the samples of places `[R, 1 + d]`, or for the samples and positions of windows."""
        if not self.windowed:
            return place[:, 0]
        spatial = self.shape[1:]
        return place[:, 0] * torch.Size(spatial).numel() + _ravel(place[:, 2:], spatial)

    def _packed(self, departure: Callable[..., Departure], pack: Pack, chosen: Tensor, index: Tensor) -> Departure:
        """The chosen rows `[R]` of a pack, in groups."""
        groups, rows = pack.home.shape[0], pack.rows
        rows = rows if isinstance(rows, slice) else rows.to(self.device)
        cells = None if pack.cells is None else pack.cells.to(self.device)
        cell = chosen[rows]
        if cells is not None:
            cell = cell.new_zeros(groups * pack.count).index_put((cells,), cell)
        return departure(cell.reshape(groups, -1), self._place(pack.home), index[rows], cells)

    def _place(self, home: Tensor) -> Place:
        """Where groups with these homes `[G]`, in increasing order, belong."""
        if not self.windowed:
            return Place(home.to(self.device), (int(home[0]), int(home[-1]) + 1))
        spatial = self.shape[1:]
        places = torch.Size(spatial).numel()
        owner, position = home // places, torch.stack(torch.unravel_index(home % places, spatial), 1)
        return Place(owner.to(self.device), (int(owner[0]), int(owner[-1]) + 1), position.to(self.device))

    def _single(
        self, departure: Callable[..., Departure], asked: AskedRows, owner: Tensor, chosen: Tensor, index: Tensor
    ) -> Iterator[Departure]:
        """The chosen rows `[R]`, each a group of its own."""
        position = asked.place[index, 2:] if self.windowed else None
        sizes = self._sizes(owner)
        places = _places(owner, owner.to(self.device), position, sizes)
        for part, select, where in zip(index.split(sizes), chosen.unsqueeze(1).split(sizes), places):
            yield departure(select, where, part)

    def _sizes(self, owner: Tensor) -> list[int]:
        """How many rows to pull at a time."""
        if self.windowed:
            return [min(self.limit, owner.shape[0] - first) for first in range(0, owner.shape[0], self.limit)]
        return chunk_sizes(owner, self.limit)

    def _still_open(self, asked: AskedRows) -> StillOpen:
        """A test for rows on their way: would these bounds leave their units undecided?"""

        def still_open(some: Travellers, found: Enclosure) -> Tensor:
            first, last = some.span
            bounds = Interval(found.lower[:, 0].detach(), found.upper[:, 0].detach())
            interval = self._with(asked, some.index, bounds, first, last)
            return self.undecided(self.state, interval, slice(first, last))[asked.index(some.index, first)]

        return still_open

    def _shared(self, units: Tensor, mirrored: bool) -> Progress:
        """Identity rows of units (channels, if windowed) and their negatives if `mirrored`, pulled as far as all
        samples share them.
        """
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
        start = Progress.start_shared(self.name, rows, one_sided=mirrored)
        return advance(self.state, start, stop=self._differs)

    def _differs(self, name: str, progress: Progress) -> bool:
        """Whether rows can no longer be shared: samples part at this layer, constraints are to join before it, or it
        must be known where windows lie.
        """
        if self.barrier >= self.state.graph.positions[name]:
            return True
        layer, rows = self.state.layers[name], progress.pending[name]
        if rows.window is None:
            return layer.per_sample
        meets = any(parent in progress.pending for parent in self.state.graph[name].inputs)
        placeless = layer.windowed and layer.uniform and rows.cropped and not rows.outgrown
        return layer.per_sample or meets or not placeless

    def _group_chunks(self, groups: int, count: int) -> list[int]:
        """How many groups of `count` rows to pull at a time; factored rows are never laid out, so more of them fit."""
        most = self.chunks.groups(count, measured.factored_rows_gain if self.windowed else 1)
        return [min(most, groups - first) for first in range(0, groups, most)]

    # --- whole groups ------------------------------------------------------------------------------------------------

    def _dense(self, groups: Tensor) -> Interval:
        """All channels at the marked positions `[N, *spatial]`, or all units of the marked samples `[N]`."""
        on_host = groups.nonzero()
        place = on_host.to(self.device)
        interval = self.state.interval(self.name)
        kernel = self.shape[0] if self.windowed else self.state.graph[self.name].size
        lower, upper = (end.movedim(1, -1) if self.windowed else flat(end) for end in (interval.lower, interval.upper))
        units = torch.arange(kernel, device=self.device)
        for some in units.split(self.limit):
            shared, parts = None, []
            position = place[:, 1:] if self.windowed else None
            sizes = self._group_chunks(place.shape[0], some.shape[0])
            for where in _places(on_host[:, 0], place[:, 0], position, sizes):
                count = some.shape[0], where.owner.shape[0]
                if self.chunks.fits(count[0] * count[1], count[1]):
                    shared = self._shared(some, mirrored=False) if shared is None else shared
                    parts.append(concretise(self.state, advance(self.state, shared.restrict(where))))
                else:
                    self.chunks.spare(count[0] * count[1], count[1])
                    way = partial(_one_group, self.name, self.undecided, self.limit, some, where)
                    parts.append(recomputed_rows(self.state, way))
            index = (*(axis.unsqueeze(1) for axis in place.unbind(1)), some)
            lower = lower.index_put(index, torch.cat([part.lower for part in parts]))
            upper = upper.index_put(index, torch.cat([part.upper for part in parts]))
        if self.windowed:
            return Interval(lower.movedim(-1, 1), upper.movedim(-1, 1))
        return Interval(lower.reshape(-1, *self.shape), upper.reshape(-1, *self.shape))

    def group(self, units: Tensor, where: Place) -> Enclosure:
        """Bounds of all rows of these units at some places, by themselves."""
        return concretise(self.state, advance(self.state, self._shared(units, mirrored=False).restrict(where)))


def _one_chunk(
    name: str, undecided: Undecided, limit: int, departure: Departure, asked: AskedRows, state: BoundState
) -> Enclosure:
    return UnitRows(state, name, undecided, limit).chunk(departure, asked)


def _one_group(
    name: str, undecided: Undecided, limit: int, units: Tensor, where: Place, state: BoundState
) -> Enclosure:
    return UnitRows(state, name, undecided, limit).group(units, where)


def _in_order(left: Arrivals) -> Interval:
    """Bounds `[R]` of single rows in the order of their indices."""
    order = torch.cat([index for index, _ in left]).argsort()
    lower = torch.cat([enclosure.lower[:, 0] for _, enclosure in left])
    upper = torch.cat([enclosure.upper[:, 0] for _, enclosure in left])
    return Interval(lower.index_select(0, order), upper.index_select(0, order))


def _places(on_host: Tensor, owner: Tensor, position: Tensor | None, sizes: list[int]) -> Iterator[Place]:
    """Places of chunks of groups of these sizes; owners are in increasing order, on the CPU and on the device."""
    positions = [None] * len(sizes) if position is None else position.split(sizes)
    for some, at, span in zip(owner.split(sizes), positions, spans(on_host, sizes)):
        yield Place(some, span, at)


def _ravel(index: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Flat positions of multi-indices `[R, d]` in an array of the given shape."""
    flat = index.new_zeros(index.shape[0])
    for axis, extent in enumerate(shape):
        flat = flat * extent + index[:, axis]
    return flat
