"""Step sizes of walks through a convex set, each step of which goes some of the way to one of its points."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from autodual.attacks.ascent_state import State
from autodual.attacks.members import lowest
from autodual.attacks.objectives import Objective, raised
from autodual.attacks.problem import Problem
from autodual.attacks.step_sizes import StepSize
from autodual.errors import InvalidInputError
from autodual.perturbations import Searchable


@dataclass(frozen=True)
class Harmonic(StepSize):
    """2 / (t + 2) of the way at the t-th step, counted from 0, as Frank and Wolfe have it.

    So the first step goes the whole way, and where an ascent ends is an average of the points that it aimed at.
    """

    def fraction(self, region: Searchable, state: State) -> float:
        return 2 / (state.iteration + 2)

    def advance(self, region: Searchable, state: State, move: Tensor) -> Tensor:
        return region.retract(state.points + self.fraction(region, state) * move)


@dataclass(frozen=True)
class LineSearch(StepSize):
    """The share of the way at which the objective is largest, of a few that are tried, each by a forward pass.

    Args:
        shares: of the way, each above 0 and at most 1.
    """

    shares: tuple[float, ...] = (1.0, 0.5, 0.2, 0.05)

    def __post_init__(self) -> None:
        if not self.shares or not all(0 < share <= 1 for share in self.shares):
            raise InvalidInputError(f"a line search tries shares above 0 and at most 1, not {self.shares}")

    def towards(self, problem: Problem, objective: Objective, state: State, aim: Tensor) -> Tensor:
        found = torch.stack([problem.region.towards(state.points, aim, share) for share in self.shares])
        losses = [raised(objective, problem, problem.outputs(points)) for points in found]
        return lowest(found, -torch.stack(losses))

    def advance(self, region: Searchable, state: State, move: Tensor) -> Tensor:
        return region.retract(state.points + self.shares[0] * move)
