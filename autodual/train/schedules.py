"""Numbers that change while a network is trained, as functions of the time in epochs.

A schedule is a frozen dataclass: it has no state, so that a resumed run goes on with the same numbers.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

from autodual.errors import InvalidInputError
from autodual.train.limits import Finite, NonNegative, check_fields


class Schedule(ABC):
    """A number for each time; `schedule(2.5)` is its value in the middle of the third epoch."""

    def __post_init__(self) -> None:
        check_fields(self)

    @abstractmethod
    def __call__(self, epoch: float) -> float:
        """The value at a time `epoch` ≥ 0."""

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


@dataclass(frozen=True)
class Ramp(Schedule):
    """`start` until epoch `begin`, `end` from epoch `finish` on; the subclass says what lies between."""

    start: Finite
    end: Finite
    begin: NonNegative = 0.0
    finish: NonNegative = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.begin <= self.finish:
            raise InvalidInputError(
                f"a schedule must begin at an epoch of at least 0 and finish no earlier, not {self.begin} and "
                f"{self.finish}"
            )

    def __call__(self, epoch: float) -> float:
        if epoch >= self.finish:
            return self.end
        if epoch <= self.begin:
            return self.start
        return self.start + (self.end - self.start) * self.part((epoch - self.begin) / (self.finish - self.begin))

    @property
    def extremes(self) -> tuple[float, float]:
        return self.start, self.end

    @abstractmethod
    def part(self, time: float) -> float:
        """The share of the way from `start` to `end` at `time` in [0, 1]: a function from 0 to 1."""


@dataclass(frozen=True)
class Linear(Ramp):
    """In a straight line, as the thesis' radius."""

    def part(self, time: float) -> float:
        return time


@dataclass(frozen=True)
class Smooth(Ramp):
    """First slowly, like the fourth power of time, and from a quarter of the way on in a straight line (Zhang et al.,
    2020): training on bounds is least stable while the radius is small.
    """

    def part(self, time: float) -> float:
        middle, power = 0.25, 4
        # The line continues the power with the same slope and ends at 1.
        rate = 1 / (middle**power + power * middle ** (power - 1) * (1 - middle))
        if time < middle:
            return rate * time**power
        return rate * (middle**power + power * middle ** (power - 1) * (time - middle))


@dataclass(frozen=True)
class Cosine(Ramp):
    """Along half a wave of the cosine."""

    def part(self, time: float) -> float:
        return (1 - math.cos(math.pi * time)) / 2


@dataclass(frozen=True)
class Steps(Schedule):
    """`start`, multiplied by `factor` at each of the epochs `at`; it first rises from 0 in `warm_up` epochs."""

    start: Finite
    at: tuple[NonNegative, ...] = ()
    factor: NonNegative = 0.1
    warm_up: NonNegative = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            grown = self.factor ** len(self.at)
        except OverflowError:
            grown = math.inf
        if not math.isfinite(self.start * grown):
            raise InvalidInputError("a schedule's steps must not grow beyond all numbers: take a smaller factor")

    def __call__(self, epoch: float) -> float:
        value = self.start * self.factor ** sum(epoch >= when for when in self.at)
        # Never exactly zero, since a step with the learning rate zero would be wasted.
        return value * min(1.0, (epoch + 1e-3) / self.warm_up) if epoch < self.warm_up else value

    @property
    def extremes(self) -> tuple[float, float]:
        last = self.start * self.factor ** len(self.at)
        ends = sorted((self.start, last))
        return (min(ends[0], 0.0), max(ends[1], 0.0)) if self.warm_up else (ends[0], ends[1])


SCHEDULES: dict[str, type[Schedule]] = {
    "constant": Constant,
    "linear": Linear,
    "smooth": Smooth,
    "cosine": Cosine,
    "steps": Steps,
}
