"""The points that an ascent has met, judged several steps at a time, since judging costs many small operations."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from autodual.attacks.kept import Kept
from autodual.attacks.objectives import Margin, Objective
from autodual.attacks.problem import Problem
from autodual.perturbations import Searchable

# How many steps wait to be judged, and how many numbers they may hold: of large inputs each step is judged by itself.
_STEPS, _NUMBERS = 8, 2**20


@dataclass(eq=False)
class Seen:
    """What an ascent of one problem has met since it last judged; the points that it prefers go to `kept`."""

    problem: Problem
    objective: Objective
    kept: Kept
    _waiting: list[tuple[Tensor, Tensor, Tensor]] = field(default_factory=list)

    def add(self, points: Tensor, outputs: Tensor, loss: Tensor, *, sure: bool) -> None:
        """The points of a step `[N, *shape]`, with their outputs `[N, K]` and losses `[N]`.

        Args:
            points, outputs, loss: see above.
            sure: whether the points certainly lie in the set.
        """
        if self.kept.keep == "last":
            return
        self._waiting.append((points, outputs, loss))
        numbers = len(self._waiting) * (points.numel() + outputs.numel())
        if not sure or self.kept.stepwise or len(self._waiting) == _STEPS or numbers > _NUMBERS:
            self.judge(None if sure else self.problem.region)

    def judge(self, region: Searchable | None = None) -> None:
        """Hand what waits to `kept`.

        Args:
            region: points count only if they may lie in it; None: they do.
        """
        if not self._waiting:
            return
        points, outputs, loss = (torch.stack(part) for part in zip(*self._waiting, strict=True))
        self._waiting.clear()
        by_loss = self.kept.keep == "loss" or isinstance(self.objective, Margin)
        self.kept.update(points, -loss if by_loss else self.problem.margin(outputs), region)
