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
    #: Points, and what they are judged by: negated losses, or outputs.
    _waiting: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def add(self, points: Tensor, outputs: Tensor, loss: Tensor, *, sure: bool) -> bool:
        """The points of a step `[N, *shape]`, with their outputs `[N, K]` and losses `[N]`.

        Args:
            points, outputs, loss: see above.
            sure: whether the points certainly lie in the set.

        Returns:
            Whether all that waited has been judged; otherwise no sample is newly refuted that should be left alone.
        """
        keep, waiting = self.kept.keep, self._waiting
        if keep == "last":
            return False
        waiting.append((points, -loss if self._by_loss else outputs))
        numbers = len(waiting) * (points.numel() + outputs.numel())
        at_once = not sure or keep == "first-together" or (keep == "first" and self.problem.suspicious(outputs))
        if at_once or len(waiting) == _STEPS or numbers > _NUMBERS:
            self.judge(None if sure else self.problem.region)
        return at_once

    def judge(self, region: Searchable | None = None) -> None:
        """Hand what waits to `kept`.

        Args:
            region: points count only if they may lie in it; None: they do.
        """
        if not self._waiting:
            return
        steps = [points for points, _ in self._waiting]
        points = steps[0].unsqueeze(0) if len(steps) == 1 else torch.stack(steps)
        values = torch.stack([found for _, found in self._waiting])
        self._waiting.clear()
        self.kept.update(points, values if self._by_loss else self.problem.margin(values), region)

    @property
    def _by_loss(self) -> bool:
        return self.kept.keep == "loss" or isinstance(self.objective, Margin)
