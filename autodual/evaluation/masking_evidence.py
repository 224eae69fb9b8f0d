"""What signs are read from: samples under attack, and which of them some attacks of different kinds refute."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from autodual.attacks import Apgd, Attack, Fgsm, Objective, Square, attack_members, counterexamples
from autodual.attacks.ascent import evaluate
from autodual.attacks.base import Function
from autodual.attacks.problem import Problem
from autodual.perturbations import Searchable
from autodual.specs import Specification
from autodual.tensors import flat

#: A strong attack for its price: it stands in where none is in question, and any other is held against it.
USUAL = Apgd(20, objective="margin")
_QUERIES = 50
_DRAWS = 20


@dataclass(frozen=True, eq=False)
class Evidence:
    """N samples that satisfy the specification themselves. Each attack is run once, when it is first asked for.

    function, region, specification: as for attacks.
    attack: the attack whose figure is in question.
    """

    function: Function
    region: Searchable
    specification: Specification
    attack: Attack

    @classmethod
    def of(
        cls, function: Function, region: Searchable, specification: Specification, attack: Attack, samples: int
    ) -> Evidence:
        """Of all samples at most so many, spread evenly, and of these the ones that are right."""
        device = region.centre.device
        index = torch.linspace(0, region.count - 1, min(region.count, samples)).round().long().to(device)
        whole = cls(function, region.select(index), specification.select(index), attack)
        with torch.no_grad():
            right = (whole.problem.margin(whole.problem.clean) > 0).nonzero().squeeze(1)
        return cls(function, whole.region.select(right), whole.specification.select(right), attack)

    @cached_property
    def problem(self) -> Problem:
        """The samples as objectives see them."""
        return Problem.of(self.function, self.region, self.specification)

    def gradient(self, objective: Objective) -> Tensor:
        """Of an objective at the samples, `[N, features]`; zero where it is NaN or infinite, as attacks see it."""
        return flat(evaluate(self.problem, objective, self.region.centre)[2])

    def refuted(self, attack: Attack, region: Searchable | None = None) -> Tensor:
        """Which samples an attack refutes, bool `[N]`; over another region if there is one."""
        region = region or self.region
        points = attack_members(attack, self.function, region, self.specification)
        return counterexamples(self.function, region, self.specification, points)

    @cached_property
    def by_the_attack(self) -> Tensor:
        """Refuted by the attack in question."""
        return self.refuted(self.attack)

    @cached_property
    def by_one_step(self) -> Tensor:
        """Refuted by a single gradient step."""
        return self.refuted(Fgsm())

    @cached_property
    def by_more_effort(self) -> Tensor:
        """Refuted by the same attack with twice the steps, if it has steps, or by the usual one."""
        found = self.refuted(USUAL)
        longer = _longer(self.attack)
        return found if longer is None else found | self.refuted(longer)

    @cached_property
    def without_gradients(self) -> Tensor:
        """Refuted by a search that sees outputs only."""
        return self.refuted(Square(_QUERIES, keep="first-together"))

    @cached_property
    def by_chance(self) -> Tensor:
        """Refuted by one of a few random points."""
        generator = torch.Generator(self.region.centre.device).manual_seed(0)
        found = torch.zeros(self.region.count, dtype=torch.bool, device=self.region.centre.device)
        for points in self.region.sample(_DRAWS, generator):
            found |= counterexamples(self.function, self.region, self.specification, points)
        return found


def _longer(attack: Any) -> Attack | None:
    """The attack with twice the steps; None if it has no such option."""
    has_steps = is_dataclass(attack) and "steps" in {field.name for field in fields(attack)}
    return replace(attack, steps=2 * attack.steps) if has_steps else None
