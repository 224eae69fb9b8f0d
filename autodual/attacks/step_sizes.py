"""Step sizes: how far along a step an attack goes, and whether it looks back."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from autodual.attacks.ascent_state import State
from autodual.attacks.objectives import Objective
from autodual.attacks.problem import Problem
from autodual.errors import InvalidInputError
from autodual.perturbations import Searchable


class StepSize(ABC):
    """What becomes of a step; a frozen dataclass whose fields are its options. Memory is in the state."""

    def observe(self, state: State, loss: Tensor, gradient: Tensor) -> Tensor:
        """Look at where the ascent is; may move the state's points back, and gives the gradient at them.

        Args:
            state: the points, and what step sizes remember.
            loss: at the points, `[N]`.
            gradient: of the loss, `[N, *shape]`.
        """
        return gradient

    def fraction(self, region: Searchable, state: State) -> Tensor | float | None:
        """How much of the way to a point of the set a step goes, from 0 to 1; None if the size does not say.

        Args:
            region: the set, placed around N samples.
            state: the points, and what step sizes remember.

        Returns:
            A number, or `[N, 1, …]`.
        """
        return None

    def towards(self, problem: Problem, objective: Objective, state: State, aim: Tensor) -> Tensor:
        """The next points `[N, *shape]` on the way to others of the set; by default as far as `fraction` says.

        Args:
            problem: the samples under attack.
            objective: what is raised.
            state: the points, and what step sizes remember.
            aim: points of the set, `[N, *shape]`.
        """
        fraction = self.fraction(problem.region, state)
        if fraction is None:
            return self.advance(problem.region, state, aim - state.points)
        return problem.region.towards(state.points, aim, fraction)

    @abstractmethod
    def advance(self, region: Searchable, state: State, move: Tensor) -> Tensor:
        """The next points `[N, *shape]`, in the region.

        Args:
            region: the set, placed around N samples.
            state: the points, and what step sizes remember.
            move: a step of size 1, `[N, *shape]`.
        """


@dataclass(frozen=True)
class Fixed(StepSize):
    """Always the same multiple of the step; `raw`: in units of the input, where the step is in units of the radius."""

    size: float
    raw: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.size < math.inf:
            raise InvalidInputError(f"the step size must be positive and finite, but is {self.size}")

    def advance(self, region: Searchable, state: State, move: Tensor) -> Tensor:
        length = self.length(region)
        if isinstance(length, Tensor):
            return region.retract(state.points + length * move)
        return region.retract(torch.add(state.points, move, alpha=length))

    def fraction(self, region: Searchable, state: State) -> Tensor | float:
        length = self.length(region)
        return length.clamp(max=1) if isinstance(length, Tensor) else min(length, 1.0)

    def length(self, region: Searchable) -> Tensor | float:
        """What a step in units of the radius is multiplied by.

        Args:
            region: the set, placed around N samples.
        """
        if not self.raw:
            return self.size
        radius = region.radii
        return self.size / torch.where(radius == 0, 1, radius)


@dataclass(frozen=True)
class Adaptive(StepSize):
    """The schedule of APGD (Croce and Hein, 2020): halved, and back at the best point, where progress stalls.

    first: the first size. inertia: the share of each step that is new; the rest repeats the last one. progress: the
    share of steps between two checks that must have raised the loss.
    """

    first: float = 2.0
    inertia: float = 0.75
    progress: float = 0.75

    def observe(self, state: State, loss: Tensor, gradient: Tensor) -> Tensor:
        memory = state.memory
        last = None if state.iteration == 0 else memory["last"]
        remember_best(state, loss, gradient)
        if last is None:
            memory.update(size=torch.full_like(loss, self.first), rises=torch.zeros_like(loss))
            memory.update(checked=memory["best"], halved=torch.ones_like(loss, dtype=torch.bool))
            return gradient
        memory["rises"] = memory["rises"] + (memory["last"] > last)
        interval = checkpoints(state.steps).get(state.iteration)
        return gradient if interval is None else self._check(state, gradient, interval)

    def _check(self, state: State, gradient: Tensor, interval: int) -> Tensor:
        memory = state.memory
        stuck = ~memory["halved"] & (memory["best"] <= memory["checked"])
        stalled = (memory["rises"] < self.progress * interval) | stuck
        memory["size"] = torch.where(stalled, memory["size"] / 2, memory["size"])
        memory["last"] = torch.where(stalled, memory["best"], memory["last"])
        memory.update(rises=torch.zeros_like(memory["rises"]), checked=memory["best"], halved=stalled)
        state.points = torch.where(state.each(stalled), memory["best_points"], state.points)
        return torch.where(state.each(stalled), memory["best_gradient"], gradient)

    def fraction(self, region: Searchable, state: State) -> Tensor:
        # The whole way at first, and without inertia, which would lead out of the set.
        return state.each(state.memory["size"]) / self.first

    def advance(self, region: Searchable, state: State, move: Tensor) -> Tensor:
        memory, points = state.memory, state.points
        aim = region.retract(points + state.each(memory["size"]) * move)
        if "previous" in memory:
            drift = self.inertia * (aim - points) + (1 - self.inertia) * (points - memory["previous"])
            aim = region.retract(points + drift)
        memory["previous"] = points
        return aim


def remember_best(state: State, loss: Tensor, gradient: Tensor) -> None:
    """Keep the last loss `[N]`, and the largest one so far with its point and its gradient there."""
    memory = state.memory
    memory["last"] = loss = loss.nan_to_num(-math.inf, math.inf, -math.inf)
    if state.iteration == 0:
        memory.update(best=loss, best_points=state.points, best_gradient=gradient)
        return
    better = loss > memory["best"]
    memory["best"] = torch.where(better, loss, memory["best"])
    memory["best_points"] = torch.where(state.each(better), state.points, memory["best_points"])
    memory["best_gradient"] = torch.where(state.each(better), gradient, memory["best_gradient"])


def checkpoints(steps: int) -> dict[int, int]:
    """The iterations at which progress is checked, and how many steps each looks back on: ever fewer.

    Args:
        steps: of the whole ascent.

    Example:
        >>> from autodual.attacks.step_sizes import checkpoints
        >>> list(checkpoints(100))[:4]
        [22, 41, 57, 70]
    """
    interval, least, less = (max(int(share * steps), 1) for share in (0.22, 0.06, 0.03))
    found, place = {}, interval
    while place < steps:
        found[place] = interval
        interval = max(interval - less, least)
        place += interval
    return found
