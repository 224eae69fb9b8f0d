"""The search: the worst parts are split, their halves bounded and attacked, until nothing is open or the time is up."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from autodual.search.actions import Action
from autodual.search.calibration import Calibration
from autodual.search.clipped_boxes import clipped
from autodual.search.frontier import Frontier
from autodual.search.last_parts import SolveProgram, with_best_multipliers
from autodual.search.part_batch import Parts, joined
from autodual.search.part_bounds import WARM_STEPS, Bounded, PartBounds
from autodual.search.whole_sets import bound_wholes, with_intervals
from autodual.tensors import flat

#: Tries points `[M, *shape]` as refutations of claims `[M]`; the bool says whether to attack from there, too.
Attempt = Callable[[Tensor, Tensor, bool], Any]

# A bound more than this many rounding errors below zero is not computed again in float64: the value before rounding was
# charged is off by one error at most, so that two would do, but for the ends of boxes.
_HOPE = 4.0
# Steps uphill for parts that cannot be split any more.
_LAST_STEPS = 200
# How many of a batch's worst parts are tried. After how many parts they are attacked first, and by what factor more
# parts were bounded at the next attack.
_TRIED, _FIRST_ATTACK, _BETWEEN_ATTACKS = 32, 64, 1.6
# Points are left out that exceed their offsets by more than this share of what a part's bound misses.
_SPARE = 1 / 32


@dataclass(frozen=True, eq=False)
class _Halves:
    """The bounded halves of parents `index`, by one kind of action, and what the parents gained by it."""

    index: Tensor
    low: Parts
    high: Parts
    realised: Tensor


class TreeSearch:
    """One search. What it found so far can be read at any time, also after an interruption.

    The order in which parts are split depends on bounds alone, so that a search takes the same way on any machine as
    far as its time suffices.

    Args:
        bounds: bounds parts.
        actions: the ways to split them, the likeliest to pay first.
        over: says when the time is up.
        memory: bytes for waiting parts.
        steps: steps uphill for whole sets; their parts take fewer.
        attempt: tries points; what it returns, if not None, ends the search.
        solve: solves the programs of parts that cannot be split; without it steps uphill stand in for them.
    """

    def __init__(
        self,
        bounds: PartBounds,
        actions: Sequence[Action],
        over: Callable[[], bool],
        *,
        memory: int,
        steps: int,
        attempt: Attempt | None = None,
        solve: SolveProgram | None = None,
    ):
        self._bounds, self._actions, self._over, self._steps = bounds, actions, over, steps
        self._frontier, self._calibration, self._attempt = Frontier(memory), Calibration(), attempt
        self._solve = solve
        self._next_attack: float = _FIRST_ATTACK
        self._open = torch.ones(bounds.claims.count, dtype=torch.long)
        self._least = torch.full((bounds.claims.count,), torch.inf, dtype=torch.float64)
        self._waiting, self._size = self._roots(), 1
        #: What `attempt` returned for a point that refutes a claim.
        self.found: Any = None
        #: How many parts were bounded.
        self.parts = 0
        #: Whether a part was given up that could not be split any more.
        self.stuck = False

    @property
    def undecided(self) -> list[int]:
        """The claims of which some part is not proved."""
        return self._open.nonzero().squeeze(1).tolist()

    @property
    def proved(self) -> Tensor:
        """By how much each claim's best half-spaces exceed their offsets throughout the set, float64 `[C]`: the least
        bound of its parts; minus infinity where one is open.
        """
        return torch.where(self._open > 0, -torch.inf, self._least)

    @torch.no_grad()
    def run(self, most: float = math.inf) -> None:
        """Search until every claim is decided, one is refuted, the time is up, or so many more parts were bounded.

        A search that was stopped goes on where it was.
        """
        stop = self.parts + most
        while self._waiting and not self._ended and self.parts < stop:
            group = self._waiting[-1]
            if bool(group.stale.any()) and not self._bounds.refreshes:
                # Where parts keep intervals, a whole set's are computed once, for all claims about it.
                group = with_intervals(self._bounds, group)
            some, rest = (group.select(slice(*ends)) for ends in ((0, self._size), (self._size, None)))
            self._waiting[-1:] = [rest] if rest.count else []
            bounded = self._bounded(some)
            self._replace(some, self._scored(bounded))
            self._size = self._bounds.batch(bounded)
        while len(self._frontier) and not self._ended and self.parts < stop:
            self._split(self._frontier.take(max(1, self._size // 2)))

    def _roots(self) -> list[Parts]:
        """The whole sets, those of one sample together where that spares work."""
        roots, sample = self._bounds.roots(), self._bounds.claims.sample
        if self._bounds.refreshes:
            return [roots]
        return [roots.select(sample == one) for one in reversed(sample.unique().tolist())]

    @property
    def _ended(self) -> bool:
        return self.found is not None or self._over()

    def _bounded(self, parts: Parts) -> Bounded:
        """Bounds of parts, all stale or none; in float64 where rounding may have decided."""
        self.parts += parts.count
        dtype = self._bounds.first.centre.dtype
        refresh = bool(parts.stale.any())
        if bool((parts.depth > 0).all()):
            found = self._bounds.bound(parts, dtype, refresh=refresh, steps=WARM_STEPS)
        else:
            found = bound_wholes(self._bounds, parts, dtype, steps=self._steps)
        bound = found.parts.bound
        near = (bound <= 0) & (bound + _HOPE * found.error > 0)
        if dtype == torch.float64 or torch.float64 not in self._bounds.regions or not bool(near.any()):
            return found
        index = near.nonzero().squeeze(1)
        again = self._bounds.bound(found.parts.select(index), torch.float64, refresh=False, steps=0)
        better = bound.index_copy(0, index, torch.maximum(bound[index], again.parts.bound))
        return replace(found, parts=replace(found.parts, bound=better))

    def _scored(self, bounded: Bounded) -> Parts:
        """Bounded parts, clipped, with the best choice of each kind of action. The worst points are tried."""
        choices = {action.name: action.score(bounded) for action in self._actions}
        parts = self._clipped(replace(bounded.parts, choices=choices), bounded)
        if bounded.functions is not None:
            every = self._bounds.claims.member[parts.claim].to(bounded.best.weight)
            weights = [bounded.best.weight, every] if self._bounds.claims.rows > 1 else [every]
            self._try(parts, [torch.einsum("mr,mrd->md", weight, bounded.functions.slope) for weight in weights])
        return parts

    def _replace(self, parents: Parts, children: Parts) -> None:
        """Let open children wait in the place of their parents."""
        closed = children.bound > 0
        self._prove(children.claim[closed], children.bound[closed])
        children = children.select(~closed)
        self._frontier.put(children)  # what finds no room stays open
        self._open.index_add_(0, children.claim.cpu(), torch.ones(children.count, dtype=torch.long))
        self._open.index_add_(0, parents.claim.cpu(), -torch.ones(parents.count, dtype=torch.long))

    def _prove(self, claim: Tensor, least: Tensor) -> None:
        """Note by how much a claim's best half-spaces exceed their offsets at some points of its set, both `[M]`."""
        self._least.scatter_reduce_(0, claim.cpu(), least.cpu(), "amin")

    def _clipped(self, parts: Parts, bounded: Bounded) -> Parts:
        """Boxes without what the parts' own bounds prove to hold no refutation."""
        if bounded.functions is None or not any(action.boxes for action in self._actions):
            return parts
        (source,) = self._bounds.plan.graph.inputs
        box, member = parts.intervals[source], self._bounds.claims.member[parts.claim]
        lower, upper = flat(box.lower), flat(box.upper)
        spare = torch.where(parts.bound < 0, _SPARE * parts.bound.abs(), torch.inf)
        offset = bounded.functions.offset - torch.where(spare > 0, spare, torch.inf).unsqueeze(1)
        smaller = clipped(lower, upper, bounded.functions.slope, offset, member)
        # Nobody looks again at the points that are left out: of them no more is proved than that.
        cut = ((smaller.lower > lower) | (smaller.upper < upper)).any(1)
        self._prove(parts.claim[cut], spare[cut])
        return replace(parts, intervals={**parts.intervals, source: smaller.map(lambda end: end.reshape(box.shape))})

    def _split(self, parents: Parts) -> None:
        kinds, gains = self._actions, []
        for action in kinds:
            gain = parents.choices[action.name].gain
            gains.append(torch.where(gain > 0, gain * self._calibration.factor(action.name), -torch.inf))
        stacked = torch.stack(gains)
        usable = stacked > -torch.inf
        self._settle(parents.select(~usable.any(0)))
        compares = len(kinds) > 1 and self._calibration.compares()
        # Nothing can be said of other kinds than the first before they were tried.
        preferred = stacked.argmax(0) if self._calibration.knows else usable.int().argmax(0)
        wanted = usable if compares else usable & (preferred == torch.arange(len(kinds)).unsqueeze(1))
        tried = [
            self._halved(parents, action, mask, compares) for action, mask in zip(kinds, wanted) if bool(mask.any())
        ]
        best = torch.full_like(parents.bound, -torch.inf)
        for halves in tried:
            best[halves.index] = torch.maximum(best[halves.index], halves.realised)
        taken = torch.zeros_like(best, dtype=torch.bool)
        for halves in tried:
            mine = (halves.realised >= best[halves.index]) & ~taken[halves.index]
            taken[halves.index] |= mine
            children = joined([halves.low.select(mine), halves.high.select(mine)])
            self._replace(parents.select(halves.index[mine]), children)

    def _settle(self, parts: Parts) -> None:
        """Bound parts that cannot be split any more in float64, with the best multipliers: those of a linear program if
        there is one, else of many steps uphill. What is not closed now stays open.
        """
        if self._solve is None:
            if parts.count:
                last = list(self._bounds.regions)[-1]
                self._take(parts, self._bounds.bound(parts, last, refresh=False, steps=_LAST_STEPS).parts)
            return
        for number in range(parts.count):
            if self._ended:
                return
            self._finish(parts.select(torch.tensor([number], device=parts.claim.device)), self._solve)

    def _finish(self, part: Parts, solve: SolveProgram) -> None:
        """Bound one part with the multipliers of its program, and try the program's point."""
        last, found = list(self._bounds.regions)[-1], with_best_multipliers(self._bounds, part, solve)
        if found is None:
            self._take(part, self._bounds.bound(part, last, refresh=False, steps=_LAST_STEPS).parts)
            return
        bounded = self._bounds.bound(found.part, last, refresh=False, steps=0, weight=found.weight).parts
        if found.point is not None and self._attempt is not None and not bool(bounded.bound[0] > 0):
            self.found = self._attempt(part.claim, found.point, False)
        self._take(part, bounded)

    def _take(self, parts: Parts, bounded: Parts) -> None:
        """Close those of some parts, bounded for the last time, that are proved."""
        self.parts += parts.count
        closed = bounded.bound > 0
        self.stuck |= not bool(closed.all())
        self._replace(parts.select(closed), bounded.select(closed))

    def _halved(self, parents: Parts, action: Action, mask: Tensor, learns: bool) -> _Halves:
        """Both halves of some parents, with choices of their own; what they gained goes to the calibration."""
        index = mask.nonzero().squeeze(1)
        some = parents.select(index)
        choice = some.choices[action.name]
        children = joined(list(action.children(some, choice)))
        bounded = self._bounded(replace(children, depth=children.depth + 1))
        gain = (bounded.parts.bound.clamp(max=0) - torch.cat([some.bound, some.bound])).clamp(min=0)
        low, high = gain.chunk(2)
        realised = (low + high + torch.minimum(low, high)).nan_to_num(0.0, 0.0, 0.0)
        if learns:
            self._calibration.learn(action.name, choice.gain, realised)
        parts = self._scored(bounded)
        self._size = self._bounds.batch(bounded)
        first, second = torch.arange(2 * some.count, device=index.device).chunk(2)
        return _Halves(index, parts.select(first), parts.select(second), realised)

    def _try(self, parts: Parts, slopes: list[Tensor]) -> None:
        """Try the middles of the worst open parts, where their functions of slopes `[M, D]` are least, and now and then
        an attack from there.
        """
        index = (~(parts.bound > 0)).nonzero().squeeze(1)
        if self._attempt is None or self.found is not None or len(index) == 0:
            return
        index = index[parts.bound[index].argsort()[:_TRIED]]
        (source,) = self._bounds.plan.graph.inputs
        box = parts.intervals[source]
        lower, upper = box.lower[index], box.upper[index]
        middle = lower + (upper - lower) / 2
        thorough = self.parts >= self._next_attack
        self._next_attack = _BETWEEN_ATTACKS * self.parts if thorough else self._next_attack
        claim, points = parts.claim[index], [middle]
        for row in slopes:
            slope = row.reshape(box.shape)[index]
            points.append(torch.where(slope > 0, lower, torch.where(slope < 0, upper, middle)))
        for number, each in enumerate(points):
            self.found = self._attempt(claim, each, thorough and number > 0)
            if self.found is not None:
                return
