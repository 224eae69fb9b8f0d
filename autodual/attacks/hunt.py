"""Attacks on a batch of samples, each attack on each member of the set, and what is left after confirmation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from autodual.attacks.base import Attack, Function, counterexamples, outputs_at
from autodual.attacks.members import ranked
from autodual.perturbations import Searchable, require_searchable
from autodual.specs import ClassMargin, Specification
from autodual.tensors import flat

#: Told of each finished search by how many there are, and of what is going on in words.
Tell = Callable[[int, str], None]


@dataclass(frozen=True, eq=False)
class Found:
    """What attacks found for N samples, T searches and M members.

    points `[N, *shape]`: the worst of each, with its margin `[N]`. search `[N]`: which one found it, counted from 1; 0
    where it is the sample itself, or the nearest point of the set. hits, bool `[T + 1, N]`: by which search there is a
    counterexample. inside, bool `[T + 1, N, M]`: in which members it lies. names: of each search's attack.
    """

    points: Tensor
    margin: Tensor
    search: Tensor
    hits: Tensor
    inside: Tensor
    names: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Hunt:
    """Attacks by name, on the function that they search, and the one that confirms what they find."""

    function: Function
    confirm: Function
    attacks: Mapping[str, Attack]

    def searches(self, members: int) -> int:
        """How many searches there are of a set of so many `members`."""
        return sum(1 if attack.joint else members for attack in self.attacks.values())

    def run(self, region: Searchable, goal: Specification, tell: Tell) -> Found:
        """All attacks around N samples, none of which is left out because another attack has broken it.

        Args:
            region: the set, placed around the samples.
            goal: what should hold at every point.
            tell: called after each pass through the network.
        """
        members = _members(region)
        nearest = region.project(region.centre.detach())
        points, names = [nearest], list[str]()
        for name, attack, where in self._searches(region, members):
            points.append(attack.run(self._told(name, len(names), tell), where, goal))
            names.append(name)
        judged = [self._judged(region, goal, one) for one in points]
        margins, hits = (torch.stack(parts) for parts in zip(*judged, strict=True))
        search = ranked(margins).argmin(0)
        stacked, place = torch.stack(points), torch.arange(region.count, device=search.device)
        inside = torch.stack([_inside(member, stacked, hits) for member in members], -1)
        return Found(stacked[search, place], margins[search, place], search, hits, inside, tuple(names))

    def _searches(self, region: Searchable, members: list[Searchable]) -> Iterator[tuple[str, Attack, Searchable]]:
        for name, attack in self.attacks.items():
            for where in [region] if attack.joint else members:
                yield name, attack, where

    def _told(self, name: str, done: int, tell: Tell) -> Function:
        """The function, which tells of every pass."""
        passes = 0

        def function(points: Tensor) -> Tensor:
            nonlocal passes
            passes += 1
            tell(done, f"{name}: {passes:,} passes")
            return self.function(points)

        return function

    def _judged(self, region: Searchable, goal: Specification, points: Tensor) -> tuple[Tensor, Tensor]:
        """Margins `[N]`, infinite outside the set, and which points are counterexamples, run again to confirm it."""
        margin = margins_at(self.function, region, goal, points).masked_fill(~region.plausible(points), torch.inf)
        margin = margin.masked_fill((margin < 0) & ~region.contains_where(margin < 0, points), torch.inf)
        hit = torch.zeros_like(margin, dtype=torch.bool)
        index = (margin < 0).nonzero().squeeze(1)
        if index.shape[0]:
            some = region.select(index), goal.select(index), points[index]
            hit[index] = counterexamples(self.confirm, *some)
            margin[index] = margins_at(self.confirm, *some).to(margin)
        return margin, hit


def margins_at(function: Function, region: Searchable, goal: Specification, points: Tensor) -> Tensor:
    """The margin `[N]` of a specification at one point `[N, *shape]` for each sample."""
    return goal.margin(goal.rows(outputs_at(function, region.centre)).values(flat(outputs_at(function, points))))


def wrong_at(goal: Specification, outputs: Tensor) -> Tensor:
    """Whether the property fails at nominal outputs `[N, *shape]`, `[N]`: of labels, whether another class wins."""
    if isinstance(goal, ClassMargin):
        return flat(goal.misses(outputs)).any(1)
    return goal.margin(goal.rows(outputs).values(flat(outputs))) < 0


def _inside(member: Searchable, points: Tensor, hits: Tensor) -> Tensor:
    """Which points `[T + 1, N, *shape]` lie in a member of the set; what is no hit may only be likely to."""
    likely = member.plausible(points)
    sure = [member.contains_where(asked, at) for asked, at in zip(likely & hits, points)]
    return likely & (~hits | torch.stack(sure))


def _members(region: Searchable) -> list[Searchable]:
    members = region.source.members()
    return [region] if len(members) == 1 else [require_searchable(one.at(region.centre)) for one in members]
