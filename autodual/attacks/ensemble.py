"""Several attacks, one after the other: each is run on the samples that resisted those before it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from autodual.attacks.apgd import Apgd
from autodual.attacks.ascent import generator_of
from autodual.attacks.base import Attack, Function, counterexamples, outputs_at
from autodual.attacks.evaluation_mode import unchanged
from autodual.attacks.square import Square
from autodual.errors import InvalidInputError
from autodual.perturbations import Searchable, require_searchable
from autodual.specs import LabelSpecification, Specification
from autodual.tensors import flat

# Starts of the search without gradients that is part of `Standard`.
_STARTS = 5


@dataclass(frozen=True)
class Ensemble(Attack):
    """`attacks`, strongest and cheapest first; of a sample that resists all, the point of least margin."""

    attacks: tuple[Attack, ...]
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "attacks", tuple(self.attacks))
        if not self.attacks or not all(isinstance(attack, Attack) for attack in self.attacks):
            raise InvalidInputError(f"an ensemble is made of one or more attacks, not of {self.attacks!r}")

    @torch.no_grad()
    def run(
        self,
        function: Function,
        region: Searchable,
        specification: Specification,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        require_searchable(region)
        generator = generator_of(region, self.seed, generator)
        points = region.project(region.centre.detach())
        for attack in self.attacks:
            with unchanged(function):
                open_ = ~counterexamples(function, region, specification, points)
                index = open_.nonzero().squeeze(1)
                if index.shape[0] == 0:
                    break
                some, part = region.select(index), specification.select(index)
                found = attack.run(function, some, part, generator)
                points = points.index_copy(0, index, _worse(function, some, part, points[index], found))
        return points


@dataclass(frozen=True)
class Standard(Attack):
    """The attack to report robust accuracy with; it has nothing to tune.

    APGD on the cross-entropy, then on the targeted difference of logits ratio for the nine best other classes, then
    windows without any gradient: as AutoAttack does (Croce and Hein, 2020). Samples are left alone once refuted. Of a
    specification without labels, APGD on its margin from six starts takes the place of the first two.

    steps: of APGD from each start. queries: of the search without gradients, shared out among five starts, since where
    it ends is much a matter of chance.
    """

    steps: int = 100
    queries: int = 5000
    seed: int = 0

    def members(self, specification: Specification) -> tuple[Attack, ...]:
        """The attacks that it consists of for a `specification`."""
        starts = min(_STARTS, self.queries)
        square = Square(self.queries // starts, restarts=starts)
        if not isinstance(specification, LabelSpecification):
            return Apgd(self.steps, 6, "margin", keep="first"), square
        targeted = Apgd(self.steps, 9, "targeted-dlr", keep="first")
        return Apgd(self.steps, 1, "cross-entropy", keep="first"), targeted, square

    def run(
        self,
        function: Function,
        region: Searchable,
        specification: Specification,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        return Ensemble(self.members(specification), self.seed).run(function, region, specification, generator)


def _worse(function: Function, region: Searchable, specification: Specification, old: Tensor, new: Tensor) -> Tensor:
    """For each sample the one of two points that has the lower margin."""
    rows = specification.rows(outputs_at(function, region.centre))
    before, after = (specification.margin_of(rows, flat(outputs_at(function, points))) for points in (old, new))
    better = (after < before) & region.plausible(new)
    return torch.where(better.reshape(-1, *[1] * (old.dim() - 1)), new, old)
