"""Steps: which way, and how far for a step size of 1, an attack moves along a gradient."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from autodual.attacks.ascent_state import State
from autodual.attacks.geometry import largest_features, per_sample_norm, uncut_direction
from autodual.attacks.objectives import Objective
from autodual.attacks.problem import Problem
from autodual.attacks.step_sizes import StepSize
from autodual.errors import InvalidInputError
from autodual.perturbations import Searchable


class Step(ABC):
    """A step of size 1; a frozen dataclass whose fields are its options.

    In units of the set's radius, unless it is `raw`: then in units of the input.
    """

    #: Whether it follows the set's own geometry: then it walks to steepest points where projections are dear.
    geometric: ClassVar[bool] = False

    @abstractmethod
    def move(self, region: Searchable, gradient: Tensor, state: State) -> Tensor:
        """The move `[N, *shape]`; none where the gradient is 0.

        Args:
            region: the set, placed around N samples.
            gradient: of the objective at the state's points, `[N, *shape]`.
            state: the points, and what steps remember.
        """

    def advance(self, problem: Problem, objective: Objective, state: State, gradient: Tensor, size: StepSize) -> Tensor:
        """The next points `[N, *shape]`: as far along the move as the step size goes, and from there into the set.

        In a set that attacks need not project onto, a geometric step goes some of the way to the steepest point.

        Args:
            problem: the samples under attack.
            objective: what is raised.
            state: the points, and what steps and step sizes remember.
            gradient: of the objective at those points, `[N, *shape]`.
            size: how far to go.
        """
        if self.geometric and problem.region.projection_free:
            return size.towards(problem, objective, state, problem.region.steepest(gradient))
        return size.advance(problem.region, state, self.move(problem.region, gradient, state))


@dataclass(frozen=True)
class Steepest(Step):
    """Steepest ascent in the set's own geometry, as long as from the middle of the set to its edge."""

    geometric: ClassVar[bool] = True

    def move(self, region: Searchable, gradient: Tensor, state: State) -> Tensor:
        return region.direction(gradient)


@dataclass(frozen=True)
class UncutSteepest(Step):
    """The same in the ball that was cut down to the domain: as long near an end of the domain as elsewhere."""

    geometric: ClassVar[bool] = True

    def move(self, region: Searchable, gradient: Tensor, state: State) -> Tensor:
        return uncut_direction(region, gradient)


@dataclass(frozen=True)
class ToWorst(Step):
    """To the point of the set that is worst for the linearisation (Frank and Wolfe, 1956)."""

    def move(self, region: Searchable, gradient: Tensor, state: State) -> Tensor:
        return region.steepest(gradient) - state.points

    def advance(self, problem: Problem, objective: Objective, state: State, gradient: Tensor, size: StepSize) -> Tensor:
        return size.towards(problem, objective, state, problem.region.steepest(gradient))


@dataclass(frozen=True)
class Sign(Step):
    """The sign of the gradient, whatever the set."""

    raw: bool = False

    def move(self, region: Searchable, gradient: Tensor, state: State) -> Tensor:
        return gradient.sign() if self.raw else region.radii * gradient.sign()


@dataclass(frozen=True)
class Euclidean(Step):
    """Along the gradient, with a Euclidean length of 1 or of the radius, whatever the set."""

    raw: bool = False

    def move(self, region: Searchable, gradient: Tensor, state: State) -> Tensor:
        unit = region.each(lambda factor, own: own / per_sample_norm(own, 2), gradient)
        return unit if self.raw else region.radii * unit


@dataclass(frozen=True)
class SparseL1(Step):
    """The k features of largest |gradient| among those that can still move, all as far (Maini et al., 2020).

    k is drawn from `least` to `most` at each step. In units of the radius, the l1 length of a step is the radius; raw,
    it is `most`, so that k features move by most / k each. The printed step, 1 / k, would never reach the radius.
    """

    least: int = 5
    most: int = 20
    raw: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.least <= self.most:
            raise InvalidInputError(f"a sparse step moves 1 or more features, not {self.least} to {self.most}")

    def move(self, region: Searchable, gradient: Tensor, state: State) -> Tensor:
        k = torch.randint(self.least, self.most + 1, (), generator=state.generator, device=gradient.device)

        def sparse(factor: Searchable, own: Tensor, points: Tensor) -> Tensor:
            return largest_features(factor, own, points, k.expand(factor.count))

        unit = region.each(sparse, gradient, state.points)
        return self.most * unit if self.raw else region.radii * unit


@dataclass(frozen=True)
class Momentum(Step):
    """Another step along an average of normalised gradients: m ← decay · m + g / ‖g‖₁ (Dong et al., 2018)."""

    step: Step = Steepest()
    decay: float = 1.0

    def move(self, region: Searchable, gradient: Tensor, state: State) -> Tensor:
        return self.step.move(region, self._average(gradient, state), state)

    def advance(self, problem: Problem, objective: Objective, state: State, gradient: Tensor, size: StepSize) -> Tensor:
        return self.step.advance(problem, objective, state, self._average(gradient, state), size)

    def _average(self, gradient: Tensor, state: State) -> Tensor:
        average = gradient / per_sample_norm(gradient, 1)
        if "momentum" in state.memory:
            average = self.decay * state.memory["momentum"] + average
        state.memory["momentum"] = average
        return average


@dataclass(frozen=True)
class Natural(Step):
    """The step that suits the set: sparse in an l1 ball, where one feature at a time is slow, else the steepest.

    Near an end of the domain it is as long as elsewhere. An l1 step moves up to 20 features, of small inputs one in
    sixteen, and ever fewer: its optima are sparse.
    """

    geometric: ClassVar[bool] = True

    def move(self, region: Searchable, gradient: Tensor, state: State) -> Tensor:
        ahead = 1 - state.iteration / state.steps

        def natural(factor: Searchable, own: Tensor, points: Tensor) -> Tensor:
            if factor.norm_order != 1:
                return UncutSteepest().move(factor, own, replace(state, points=points))
            most = max(1, ahead * min(20, factor.shape.numel() // 16))
            return factor.radii * largest_features(factor, own, points, own.new_full((factor.count,), most))

        return region.each(natural, gradient, state.points)


@dataclass(frozen=True)
class Customary(Step):
    """The step of adversarial training: along the sign, along the gradient, or sparse, as the norm of the ball has it.

    In an l∞ ball it is as long near an end of the domain as elsewhere. In an l1 ball k is drawn anew at each step.
    """

    geometric: ClassVar[bool] = True

    def move(self, region: Searchable, gradient: Tensor, state: State) -> Tensor:
        def customary(factor: Searchable, own: Tensor, points: Tensor) -> Tensor:
            step = SparseL1() if factor.norm_order == 1 else UncutSteepest()
            return step.move(factor, own, replace(state, points=points))

        return region.each(customary, gradient, state.points)
