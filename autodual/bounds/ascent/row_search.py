"""The best lines and multipliers for rows: a search that picks among sound bounds (α-CROWN, Xu et al. 2021; β-CROWN,
Wang et al. 2021).

Every line of a family lies on its side of the function, and every multiplier that is not negative is sound: where a
search ends costs tightness and never truth. So it need not account for rounding; what it finds is bounded again. Rows
are searched together, but none sees another, and a group of rows whose bounds are good enough, or no longer grow,
leaves the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from autodual.bounds.ascent.adjoint import Way, way
from autodual.bounds.ascent.chosen_lines import Choices, Families, parallel_choices, under
from autodual.bounds.ascent.climb import Climb, Step, Unit, steps_of
from autodual.bounds.rows.constrained import barrier, join_constraint, join_constraints
from autodual.bounds.rows.pull import Progress, advance, concretise
from autodual.bounds.state.bound_state import BoundState
from autodual.bounds.state.constraints import Multiplied

# Look every so many steps which groups are done; they leave when they are at least this share of all.
_LOOK, _LEAVING = 4, 0.25
# A row no longer grows if that many steps have gained less than this share of all that the search has.
_STALLED = 1e-4
# Longer steps than that may gain nothing, and yet shorter ones after them do.
_LONG = 0.04


@dataclass(frozen=True, eq=False)
class Lines:
    """What is chosen for rows: t by relaxed node, `[G, K, *shape]`, and a multiplier `[G, K, *C]` for each constraint
    in order, None for one that takes no part. Before a search the first two axes may be 1.
    """

    choices: Choices
    multipliers: tuple[Tensor | None, ...] = ()

    def each_row(self, groups: int, count: int) -> Lines:
        """With an entry for each row."""

        def own(values: Tensor) -> Tensor:
            return values.detach().expand(groups, count, *values.shape[2:])

        multipliers = tuple(None if one is None else own(one) for one in self.multipliers)
        return Lines({name: own(t) for name, t in self.choices.items()}, multipliers)

    def keep(self, index: Tensor) -> Lines:
        """Those of some groups; each has its own."""
        multipliers = tuple(None if one is None else one[index] for one in self.multipliers)
        return Lines({name: t[index] for name, t in self.choices.items()}, multipliers)


def joined_lines(parts: Sequence[Lines], whole: Callable[[list[Tensor]], Tensor]) -> Lines:
    """Lines of several pieces of rows as one; whole: makes one tensor of those of all pieces."""
    choices = {name: whole([part.choices[name] for part in parts]) for name in parts[0].choices}
    multipliers = tuple(
        None if same[0] is None else whole([one for one in same if one is not None])
        for same in zip(*(part.multipliers for part in parts), strict=True)
    )
    return Lines(choices, multipliers)


#: Groups `[g]` and bounds `[g, K]` of their rows, to a mask of these.
Done = Callable[[Tensor, Tensor], Tensor]


def above(enough: Tensor) -> Done:
    """Rows whose bounds exceed what is enough of them, `[G or 1, K or 1]`."""
    return lambda groups, lower: lower > (enough if enough.shape[0] == 1 else enough[groups])


@dataclass(frozen=True, eq=False)
class Task:
    """Rows whose lines are searched.

    start: the rows, before constraints join them, each over a whole node. owner: the subproblem of each group `[G]`;
    None: they are the subproblems. families: what can be chosen. done: which rows `[g, K]` of the groups `[g]` need no
    better bounds than these; None: all do.
    """

    state: BoundState
    start: Progress
    owner: Tensor | None
    families: Families
    done: Done | None = None

    @property
    def groups(self) -> int:
        return self.state.samples if self.owner is None else self.owner.shape[0]

    def keep(self, index: Tensor) -> Task:
        """Some of the groups."""
        owner = torch.arange(self.groups, device=index.device) if self.owner is None else self.owner
        pending = {name: replace(rows, owner=owner).keep(index) for name, rows in self.start.pending.items()}
        centre = self.start.centre.expand(self.groups, -1)[index]
        return replace(self, start=self.start._replace(pending=pending, centre=centre), owner=owner[index])


def searched(task: Task, first: Lines, steps: int, *, warm: bool = False) -> Lines:
    """The best lines and multipliers that so many steps from the first ones find; never worse than these.

    warm: whether the first ones were searched before, for a set that holds these; the parallel relaxations were looked
    at then. No gradients flow to what is found: at a maximum they are zero to first order.
    """
    with torch.no_grad():
        plain = task.state.present()
        plain.options = replace(task.state.options, rigorous=False)
        near = _nearer(replace(task, state=plain))
        return _Ascent(near, first.each_row(task.groups, task.start.centre.shape[1])).run(steps, warm=warm)


def _nearer(task: Task) -> Task:
    """The rows as near to the inputs as all choices leave them alike: behind the last affine nodes."""
    joining = barrier(task.state, task.state.constraints)

    def stop(name: str, _: Progress) -> bool:
        return task.state.graph.positions[name] <= joining

    return replace(task, start=advance(task.state, task.start, stop=stop, through=task.state.is_affine))


class _Ascent:
    """One search; groups leave it on the way."""

    def __init__(self, task: Task, first: Lines):
        self.task, self.first = task, first
        self.choices = {name: Climb(t) for name, t in first.choices.items()}
        self.multipliers = [None if one is None else Climb(one, None) for one in first.multipliers]
        self.climbs = [*self.choices.values(), *(climb for climb in self.multipliers if climb is not None)]
        self.found = [climb.best for climb in self.climbs]
        self.best = task.start.centre.new_full((task.groups, task.start.centre.shape[1]), -torch.inf)
        self.origin = self.seen = self.best
        self.done = torch.zeros_like(self.best, dtype=torch.bool)
        self.index = torch.arange(task.groups, device=self.best.device)

    def run(self, steps: int, *, warm: bool) -> Lines:
        if steps and not warm:
            self._look_at_parallel_lines()
        for number, step in enumerate(steps_of(steps)):
            if step.adam == 0:
                for climb in self.climbs:
                    climb.back()
            if number and number % _LOOK == 0 and not self._leave(step):
                return self._result()
            chosen, here = self._look()
            if number == 0:
                self.origin = self.seen = self.best
                self._measure(here)
            for name, climb in self.choices.items():
                points = [here.points[operand] for operand in chosen.graph[name].inputs]
                climb.step(chosen.layers[name].by_choice(here.rows[name], points), step)
            for climb, one in self._multiplied():
                climb.step(one.slack(self.task.owner, here.points), step)
        self._last_look()
        return self._result()

    def _look_at_parallel_lines(self) -> None:
        """Bound the rows by the parallel relaxations too, so that no search ends below these."""
        here = {name: climb.here for name, climb in self.choices.items()}
        for name, t in parallel_choices(self.task.state, self.task.families, self.task.owner).items():
            self.choices[name].here = t.expand_as(here[name])
        self._last_look()
        for name, climb in self.choices.items():
            climb.here = here[name]

    def _look(self) -> tuple[BoundState, Way]:
        """Bound the rows where the search is, and keep the best."""
        chosen, start = self._chosen()
        found = way(chosen, start)
        self._note(found.lower)
        return chosen, found

    def _last_look(self) -> None:
        """Bound the rows where the search is, without what another step from there would need."""
        chosen, start = self._chosen()
        self._note(concretise(chosen, advance(chosen, start)).lower)

    def _chosen(self) -> tuple[BoundState, Progress]:
        """The state with the lines where the search is, and the rows with the multipliers there."""
        task = self.task
        chosen = under(task.state, task.families, {name: climb.here for name, climb in self.choices.items()})
        multipliers = [None if climb is None else climb.here for climb in self.multipliers]
        return chosen, join_constraints(chosen, task.start, multipliers, task.owner)

    def _note(self, lower: Tensor) -> None:
        """Keep what gives better bounds than ever.

        A row that is done stays as it is, whether or not its group leaves: rows beside it must not matter.
        """
        better = (lower > self.best) & ~self.done
        self.best = torch.where(better, lower, self.best)
        for climb in self.climbs:
            climb.note(better)

    def _measure(self, here: Way) -> None:
        """Choose the multipliers' unit: with it a constraint's row is as large as the row that it joins, at their node
        or, where that is behind all rows, at the inputs.
        """
        state, ahead = self.task.state, set(self.task.start.pending)
        passed = ahead.union(*(state.graph.ancestors[name] for name in ahead))
        for climb, one in self._multiplied():
            alone = self._alone(one, climb.here)
            if not passed.issuperset(one.nodes):
                alone = advance(state, alone)
            ratios = [
                _mean(here.rows[name].values) / _mean(rows.values).clamp(min=1e-12)
                for name, rows in alone.pending.items()
            ]
            unit = torch.stack(torch.broadcast_tensors(*ratios)).amin(0)
            climb.unit = Unit(unit.reshape(*unit.shape, *[1] * (climb.here.dim() - 2)).expand_as(climb.here))

    def _alone(self, one: Multiplied, like: Tensor) -> Progress:
        """The constraints' own rows, where they join, for multipliers of 1."""
        nothing = Progress({}, torch.zeros_like(self.best), one_sided=True)
        return join_constraint(self.task.state, nothing, one.sizes(), torch.ones_like(like), self.task.owner)

    def _leave(self, step: Step) -> bool:
        """Let groups go that are done, if they are many; returns whether any stay."""
        if step.adam is not None and step.length <= _LONG:
            self.done = self.done | (self.best - self.seen <= _STALLED * (self.best - self.origin))
        if self.task.done is not None:
            self.done = self.done | self.task.done(self.index, self.best)
        self.seen = self.best
        staying = (~self.done.all(1)).nonzero()[:, 0]
        if staying.shape[0] > (1 - _LEAVING) * self.index.shape[0]:
            return True
        self._save()
        if not staying.shape[0]:
            return False
        self.task, self.index = self.task.keep(staying), self.index[staying]
        for climb in self.climbs:
            climb.keep(staying)
        for name in ("best", "seen", "origin", "done"):
            setattr(self, name, getattr(self, name)[staying])
        return True

    def _save(self) -> None:
        for place, climb in enumerate(self.climbs):
            self.found[place] = self.found[place].index_copy(0, self.index, climb.best)

    def _multiplied(self) -> Iterator[tuple[Climb, Multiplied]]:
        """The multipliers that are searched, and their constraints."""
        for climb, one in zip(self.multipliers, self.task.state.constraints, strict=True):
            if climb is not None:
                yield climb, one

    def _result(self) -> Lines:
        self._save()
        found = iter(self.found)
        choices = {name: next(found) for name in self.choices}
        return Lines(choices, tuple(None if climb is None else next(found) for climb in self.multipliers))


def _mean(values: Tensor) -> Tensor:
    """The mean size of the entries of each row `[G, K, …]` that are not zero."""
    flat = values.reshape(*values.shape[:2], -1).abs()
    return flat.sum(2) / (flat != 0).sum(2).clamp(min=1)
