"""Auto-PGD in l1 balls: steps of few features, whose number and length follow how many the best point has changed.

In an l1 ball cut to a domain the best point of a linear function changes only as many features as the radius pays for.
A step along one feature is slow, and one along many is undone by the projection, which drops the small changes. So each
step moves fewer features than the best point so far has changed (Croce and Hein, 2021).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from autodual.attacks.ascent_state import State
from autodual.attacks.geometry import largest_features
from autodual.attacks.step_kinds import Step
from autodual.attacks.step_sizes import StepSize, remember_best
from autodual.perturbations import Searchable
from autodual.tensors import flat

# Of the features, how many the first steps move.
_FIRST_SHARE = 0.2


@dataclass(frozen=True)
class SparseSteepest(Step):
    """The features of largest |gradient| that can still move, as many as the step size says; l1 length one radius."""

    def move(self, region: Searchable, gradient: Tensor, state: State) -> Tensor:
        count = state.memory.get("features")
        if count is None:
            count = torch.full((region.count,), _FIRST_SHARE * region.shape.numel(), device=gradient.device)
        return region.radii * largest_features(region, gradient, state.points, count)


@dataclass(frozen=True)
class AdaptiveSparse(StepSize):
    """Steps of a radius while the best point grows sparser, else ever shorter ones.

    Args:
        checks: how often during the ascent the best point's changes are counted.
        share: of those features, how many a step moves.
        shrink: what a step is divided by where the best point has not grown sparser by a twentieth.
        least: the shortest step, in radii.
    """

    checks: int = 25
    share: float = 2 / 3
    shrink: float = 1.5
    least: float = 0.1

    def observe(self, state: State, loss: Tensor, gradient: Tensor) -> Tensor:
        memory = state.memory
        remember_best(state, loss, gradient)
        if state.iteration == 0:
            memory["size"] = torch.ones_like(loss)
            # Half precision cannot count the features of an image.
            memory["changed"] = torch.full_like(loss, state.points[0].numel(), dtype=torch.float32)
            memory["features"] = _FIRST_SHARE * memory["changed"]
        elif state.iteration % max(1, state.steps // self.checks) == 0:
            changed = flat(memory["best_points"] != memory["clean"]).sum(1).float()
            sparser = changed < 0.95 * memory["changed"]
            size = torch.where(sparser, 1, memory["size"] / self.shrink).clamp(min=self.least)
            memory.update(size=size, changed=changed, features=self.share * changed)
            state.points = torch.where(state.each(sparser), memory["best_points"], state.points)
            gradient = torch.where(state.each(sparser), memory["best_gradient"], gradient)
        return gradient

    def fraction(self, region: Searchable, state: State) -> Tensor:
        state.memory.setdefault("clean", region.centre)
        return state.each(state.memory["size"])

    def advance(self, region: Searchable, state: State, move: Tensor) -> Tensor:
        state.memory.setdefault("clean", region.centre)
        return region.retract(state.points + state.each(state.memory["size"]) * move)
