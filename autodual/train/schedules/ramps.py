"""Ramps: from one value to another, in a shape of their own."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass

from autodual.errors import InvalidInputError
from autodual.train.limits import Finite, NonNegative
from autodual.train.schedules.base import Schedule


@dataclass(frozen=True)
class Ramp(Schedule):
    """`start` until epoch `begin`, `end` from epoch `finish` on; the subclass says what lies between.

    by_epoch: keep the value with which an epoch begins until it ends. A ramp from epoch 0 to 49 then has one value for
    each of the first 50 epochs, `start` for the first and `end` for the last of them.
    """

    start: Finite
    end: Finite
    begin: NonNegative = 0.0
    finish: NonNegative = 0.0
    by_epoch: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.begin <= self.finish:
            raise InvalidInputError(
                f"a schedule must begin at an epoch of at least 0 and finish no earlier, not {self.begin} and "
                f"{self.finish}"
            )

    def __call__(self, epoch: float) -> float:
        if self.by_epoch:
            epoch = math.floor(epoch)
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
