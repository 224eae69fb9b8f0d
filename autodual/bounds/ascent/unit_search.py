"""Bounds of single units by lines of their own: site by site, in order, so that later sites see tighter intervals.

For ReLUs with lines of their own for each row that is the joint optimum of all lines: tighter intervals make smaller
triangles, so a later bound gains from every earlier one, and no gradient need go through the bounds inside
(`docs/mathematics.md`, "Searched slopes").
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from autodual.bounds.ascent.chosen_lines import Families, families_before, starts, under
from autodual.bounds.ascent.row_search import Lines, Task, searched
from autodual.bounds.memory.recomputation import recomputed_rows
from autodual.bounds.memory.row_chunks import Chunks, chunk_sizes, spans
from autodual.bounds.memory.row_cost import pull_footprint, starts_windowed
from autodual.bounds.rows.constrained import join_constraints
from autodual.bounds.rows.pull import Progress, advance, concretise
from autodual.bounds.state.bound_state import BoundState
from autodual.bounds.state.constraints import Multiplied, own
from autodual.dual.rows import Rows
from autodual.interval import Interval

#: Where an interval of all subproblems leaves units undecided in a state.
Undecided = Callable[[BoundState, Interval, slice], Tensor]


def search_units(
    state: BoundState, name: str, undecided: Undecided, wanted: Tensor | None = None, *, joined: bool = False
) -> None:
    """Tighten both ends of the wanted units of a site `[B, *shape]` that are still undecided, where slopes are
    searched.

    joined: whether the constraints that rows of the objective may use join these rows too. The nodes that they are of,
    and all before these, must be bounded then.
    """
    if state.options.slopes != "optimized" or not state.options.inner_steps:
        return
    # In balls every unit of whole rows counts, where windows see only a few of them: on a small MNIST network four
    # times the time of a whole bound, for less than a hundredth of its gain.
    if state.options.balls and starts_windowed(state, name):
        return
    open_ = undecided(state, state.interval(name), slice(None)).expand(state.samples, *state.graph[name].shape)
    place = (open_ if wanted is None else wanted & open_).nonzero()
    joining = [one for one in state.constraints if joined and one.multiplier is not None]
    nodes = (name, *(node for one in joining for node in one.nodes))
    families = families_before(state, *nodes) if place.shape[0] else {}
    if not (families or joining) or not place.shape[0]:
        return
    state.intervals[name] = state.interval(name).map(lambda end: end.expand_as(open_))
    chunks = Chunks(
        state, pull_footprint(state, max(nodes, key=state.graph.positions.__getitem__), windowed=False), searching=True
    )
    owner = place[:, 0].cpu()
    sizes = chunk_sizes(owner, max(1, chunks.rows // 2))
    for units, span in zip(place.split(sizes), spans(owner, sizes)):
        both = BothEnds(state, name, undecided, units, span, nodes, families, joined)
        found = both.bounds(both.lines(), chunks)
        state.intervals[name] = _within(state.interval(name), units, found)


@dataclass(frozen=True, eq=False)
class BothEnds:
    """Rows for the lower ends, and then for the upper ends, of units `[R, 1 + d]` of (subproblem, unit).

    span: first and last subproblem (excluded) of the units. nodes: where rows start, their constraints' among them.
    joined: whether constraints join them.
    """

    state: BoundState
    name: str
    undecided: Undecided
    units: Tensor
    span: tuple[int, int]
    nodes: tuple[str, ...]
    families: Families
    joined: bool

    @property
    def owner(self) -> Tensor:
        return self.units[:, 0].repeat(2)

    @property
    def _index(self) -> tuple[Tensor, ...]:
        return tuple(self.units.unbind(1))

    @property
    def start(self) -> Progress:
        """Identity rows, and their negatives."""
        node, count = self.state.graph[self.name], self.units.shape[0]
        rows = torch.zeros(count, *node.shape, dtype=self.state.environment.dtype, device=self.units.device)
        own_entry = (torch.arange(count, device=rows.device), *self._index[1:])
        rows[own_entry] = 1.0
        both = Rows(torch.cat([rows, -rows]).unsqueeze(1), node.shape, owner=self.owner, span=self.span)
        return Progress.start(self.name, both, one_sided=True)

    def lines(self) -> Lines:
        """The best lines that a search finds."""
        state, owner = self.state, self.owner
        given = {node: own(t, owner) for node, t in state.subproblems.slopes.for_target(self.name).items()}
        first = Lines(starts(state, self.families, given, owner), tuple(map(self._nothing, state.constraints)))
        task = Task(state, self.start, owner, self.families, self._decided)
        return searched(task, first, self.state.options.inner_steps)

    def _nothing(self, one: Multiplied) -> Tensor | None:
        """Where the search for a constraint's multipliers starts: at zero."""
        if not self.joined or one.multiplier is None:
            return None
        axes = one.multiplier.shape[-one.axes :]
        return one.multiplier.new_zeros(1, 1, *axes)

    def _decided(self, groups: Tensor, lower: Tensor) -> Tensor:
        """Whether the present ends of the units that rows belong to, and these bounds, decide the units."""
        count = self.units.shape[0]
        ends = lower.new_full((2 * count,), torch.nan).index_copy(0, groups, lower[:, 0])
        found = Interval(ends[:count], -ends[count:])
        interval = _within(self.state.interval(self.name).map(Tensor.detach), self.units, found)
        open_ = self.undecided(self.state, interval, slice(None))[self._index]
        return ~open_.repeat(2)[groups].unsqueeze(1)

    def bounds(self, lines: Lines, chunks: Chunks) -> Interval:
        """Bounds `[R]` of the units by these lines, as the engine proves them."""
        rows = 2 * self.units.shape[0]
        work = partial(_lower, self.nodes, lines)
        if chunks.fits(rows):
            lower = work(self.state, self.start)
        else:
            chunks.spare(rows)
            lower = recomputed_rows(self.state, work, self.start)
        below, above = lower[:, 0].chunk(2)
        return Interval(below, -above)


def _lower(nodes: tuple[str, ...], lines: Lines, state: BoundState, start: Progress) -> Tensor:
    progress = join_constraints(state, start, lines.multipliers, start.pending[nodes[0]].owner)
    return concretise(state, advance(under(state, families_before(state, *nodes), lines.choices), progress)).lower


def _within(present: Interval, units: Tensor, found: Interval) -> Interval:
    """An interval `[B, *shape]`, tightened by the bounds `[R]` of some units."""
    index = tuple(units.unbind(1))
    lower, upper = present.lower[index].fmax(found.lower), present.upper[index].fmin(found.upper)
    return Interval(present.lower.index_put(index, lower), present.upper.index_put(index, upper))
