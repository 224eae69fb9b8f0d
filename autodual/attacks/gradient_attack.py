"""What named gradient attacks have in common: each is an `Ascent` with some of its parts chosen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from autodual.attacks.ascent import Ascent, check_counts
from autodual.attacks.ascent_state import State
from autodual.attacks.base import Attack, Function
from autodual.attacks.kept import Keep, check_keep
from autodual.attacks.objectives import Objective, objective_named
from autodual.attacks.problem import Problem
from autodual.attacks.starts import Start, start_named
from autodual.attacks.step_kinds import Step
from autodual.attacks.step_sizes import Fixed, StepSize
from autodual.attacks.walks import Harmonic
from autodual.errors import InvalidInputError
from autodual.perturbations import Searchable, require_searchable
from autodual.specs import Specification


class GradientAttack(Attack):
    """An attack that follows the gradient; a frozen dataclass, whose fields plain values can fill.

    A subclass defines `ascent`, its parts. Or it defines the four names below, which raise the negated margin: first
    from the samples themselves, then from random points of the set.
    """

    #: Gradient steps from each start, the number of starts, and the seed of those that are random.
    steps: int
    starts: int
    random_seed: int
    #: Called as `step(region, points, gradient)`: the next points `[N, *shape]`, before they are projected.
    step: Callable[[Searchable, Tensor, Tensor], Tensor]

    @property
    def ascent(self) -> Ascent:
        """The same attack by its parts."""
        missing = [name for name in ("steps", "starts", "random_seed", "step") if not hasattr(self, name)]
        if missing:
            raise InvalidInputError(f"{type(self).__name__} must define `ascent`, or else {' and '.join(missing)} too")
        size, step = Fixed(1.0), _OwnStep(self)
        return Ascent(step=step, size=size, steps=self.steps, restarts=self.starts, seed=self.random_seed)

    def ascent_in(self, region: Searchable) -> Ascent:
        """The same by the parts that suit a set: where there is no projection, steps cross it as Frank and Wolfe's do.

        Args:
            region: the set, placed around N samples.
        """
        if require_searchable(region).projection_free and getattr(self, "step_size", 0) is None:
            return replace(self.ascent, size=Harmonic())
        return self.ascent

    def run(
        self,
        function: Function,
        region: Searchable,
        specification: Specification,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        return self.ascent_in(region).run(function, region, specification, generator)


def check_parts(steps: int, restarts: int, keep: Keep, objective: str | Objective, start: str | Start) -> None:
    """Raise InvalidInputError unless the parts that named attacks have in common are ones that exist."""
    check_counts(steps, restarts)
    check_keep(keep)
    objective_named(objective)
    start_named(start)


@dataclass(frozen=True)
class _OwnStep(Step):
    """The step that an attack's class defines itself."""

    attack: GradientAttack

    def move(self, region: Searchable, gradient: Tensor, state: State) -> Tensor:
        return self.attack.step(region, state.points, gradient) - state.points

    def advance(self, problem: Problem, objective: Objective, state: State, gradient: Tensor, size: StepSize) -> Tensor:
        return problem.region.retract(self.attack.step(problem.region, state.points, gradient))
