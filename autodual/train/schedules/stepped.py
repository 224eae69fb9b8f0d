"""Schedules that are constant between jumps."""

from __future__ import annotations

import math
from dataclasses import dataclass

from autodual.errors import InvalidInputError
from autodual.train.limits import Finite, NonNegative, Positive
from autodual.train.schedules.base import Schedule


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


@dataclass(frozen=True)
class MultipleDecay(Schedule):
    """`start`, less `drop` after every `every` epochs, until it is `end` (the thesis' section 4.3.2)."""

    start: Finite
    drop: Positive
    every: Positive
    end: Finite = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.end <= self.start:
            raise InvalidInputError(f"a multiple decay must not end above its start, but {self.end} > {self.start}")

    def __call__(self, epoch: float) -> float:
        return max(self.end, self.start - self.drop * (epoch // self.every))

    @property
    def extremes(self) -> tuple[float, float]:
        return self.start, self.end
