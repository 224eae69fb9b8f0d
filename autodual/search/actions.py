"""What every kind of action on a part can do: predict what it gains at best, and split the part."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor

from autodual.passes.plan import Plan
from autodual.search.part_batch import Choice, Parts
from autodual.search.part_bounds import Bounded


class Action(ABC):
    """One way to split parts. `name`: its key in `Parts.choices`; `boxes`: whether it splits boxes of inputs."""

    name: ClassVar[str]
    boxes: ClassVar[bool] = False

    def __init__(self, plan: Plan):
        self.plan = plan

    @abstractmethod
    def score(self, bounded: Bounded) -> Choice:
        """The best split of each part, with what the worse of its halves gains to first order."""

    @abstractmethod
    def children(self, parts: Parts, choice: Choice) -> tuple[Parts, Parts]:
        """The two halves of every part, split as chosen; together they hold every point of it."""


def best_of(gains: Tensor, points: Tensor) -> Choice:
    """The choice of the scalar with the largest of gains `[M, U]`, and its point `[M, U]`."""
    gain, unit = gains.nan_to_num(0.0, 0.0, 0.0).max(1)
    return Choice(gain.double(), unit, points.gather(1, unit.unsqueeze(1)).squeeze(1).double())
