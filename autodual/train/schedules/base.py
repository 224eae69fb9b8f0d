"""The interface of schedules, and the schedule that never changes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from autodual.train.limits import Finite, check_fields


class Schedule(ABC):
    """A number for each time; `schedule(2.5)` is its value in the middle of the third epoch."""

    def __post_init__(self) -> None:
        check_fields(self)

    @abstractmethod
    def __call__(self, epoch: float) -> float:
        """The value at a time `epoch` ≥ 0."""

    def over(self, epochs: int) -> Schedule:
        """The same schedule with its times in epochs, where they are shares of a run of so many epochs."""
        return self

    @property
    @abstractmethod
    def extremes(self) -> tuple[float, float]:
        """Two numbers between which all values lie, in any order."""


@dataclass(frozen=True)
class Constant(Schedule):
    """Always the same."""

    value: Finite

    def __call__(self, epoch: float) -> float:
        return self.value

    @property
    def extremes(self) -> tuple[float, float]:
        return self.value, self.value
