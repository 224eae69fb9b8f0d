"""The union of several sets: whatever any of its members allows an adversary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from autodual.errors import InvalidInputError
from autodual.perturbations.perturbation import PerturbationSet, PlacedSet, changed
from autodual.perturbations.union_region import placed_union


@dataclass(frozen=True, eq=False, init=False)
class Union(PerturbationSet):
    """{z : z is in one of the sets}, such as an l∞, an l2 and an l1 ball around the same sample (thesis, section 5.3).

    Bounds, certificates, radii and losses look at every member by itself and take the worst, so they are as good as the
    members' own, at the price of all of them. Only calling a `DualNetwork` directly, and what it returns for single
    layers or as linear functions, takes one pass: with the least of the members' support functions in every layer,
    which bounds the network over the members' convex hull, and so less well.

    Args:
        sets: the members, one or more; each has its own radius and domain. A union among them stands for its members.

    Raises:
        InvalidInputError: there is no member, or one that is no perturbation set.

    Example:
        >>> import autodual, torch
        >>> dual = autodual.compile_dual(torch.nn.Identity())  # scores are the inputs themselves
        >>> union = autodual.Union(autodual.LinfBall(0.1), autodual.L1Ball(0.5))
        >>> (found,) = autodual.certify(dual, torch.tensor([[1.0, 0.0]]), union)
        >>> found.margin, found.decided_by
        (0.5, 'l1 ball of radius 0.5, unclipped')
    """

    sets: tuple[PerturbationSet, ...]

    def __init__(self, *sets: PerturbationSet) -> None:
        if not sets:
            raise InvalidInputError("a union needs at least one set, such as Union(LinfBall(0.3), L2Ball(1.5))")
        for member in sets:
            if not isinstance(member, PerturbationSet):
                raise InvalidInputError(
                    f"a union is made of perturbation sets, as in Union(LinfBall(0.3), L2Ball(1.5)), not of {member!r}"
                )
        object.__setattr__(self, "sets", tuple(one for member in sets for one in member.members()))

    def members(self) -> tuple[PerturbationSet, ...]:
        return self.sets

    @property
    def neighbourhood(self) -> bool:
        return all(member.neighbourhood for member in self.sets)

    def symmetric(self, x: Tensor) -> bool:
        return all(member.symmetric(x) for member in self.sets)

    def bind(self, x: Tensor) -> PlacedSet:
        """The members placed around the samples `x`; a union of one is that one."""
        placed = tuple(member.at(x) for member in self.sets)
        if len(placed) == 1:
            return placed[0]
        return placed_union(changed(self, sets=tuple(part.source for part in placed)), x, placed)

    def describe(self) -> str:
        return f"union of {'; '.join(member.describe() for member in self.sets)}"

    def settings(self) -> dict[str, Any]:
        return {"set": "Union", "sets": [member.settings() for member in self.sets]}
