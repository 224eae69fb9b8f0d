"""Straight lines between given points, and the cyclic schedules, which consist of two."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Annotated, Literal

from autodual.errors import InvalidInputError
from autodual.number_ranges import Range, shown
from autodual.train.limits import Finite
from autodual.train.schedules.base import Schedule

#: A time, and the value then.
Knot = tuple[Finite, Finite]


@dataclass(frozen=True)
class PiecewiseLinear(Schedule):
    """Straight lines from knot to knot, and constant before the first and after the last.

    Args:
        knots: pairs (time, value) by rising time; where two have the same time, the value jumps to that of the later.
        unit: of the times: `epochs`, or `run` for shares of the whole run, which a recipe turns into epochs.

    Raises:
        InvalidInputError: there is no knot, one is no pair, or times are negative, fall, or are shares above 1.

    Example:
        >>> from autodual.train.schedules import PiecewiseLinear
        >>> schedule = PiecewiseLinear(((0, 0.0), (0.5, 0.2), (1, 0.0)), unit="run").over(30)
        >>> [schedule(epoch) for epoch in (0, 7.5, 15, 30)]
        [0.0, 0.1, 0.2, 0.0]
    """

    knots: tuple[Knot, ...]
    unit: Literal["epochs", "run"] = "epochs"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.knots or any(len(knot) != 2 for knot in self.knots):
            raise InvalidInputError("a piecewise linear schedule needs knots, each a pair of a time and a value")
        times = [time for time, _ in self.knots]
        if times[0] < 0 or times != sorted(times):
            raise InvalidInputError(f"the times of knots must be at least 0 and must not fall, unlike {shown(times)}")
        if self.unit == "run" and times[-1] > 1:
            raise InvalidInputError(f"a knot's time is a share of the run, so it must be at most 1, not {times[-1]}")

    def __call__(self, epoch: float) -> float:
        after = bisect_right([time for time, _ in self.knots], epoch)
        if after == 0 or after == len(self.knots):
            return self.knots[max(after - 1, 0)][1]
        (begin, first), (finish, second) = self.knots[after - 1 : after + 1]
        part = (epoch - begin) / (finish - begin)
        value = first * (1 - part) + second * part
        return min(max(value, min(first, second)), max(first, second))  # rounding must not lead beyond the ends

    def over(self, epochs: int) -> PiecewiseLinear:
        if self.unit == "epochs":
            return self
        return PiecewiseLinear(tuple((time * epochs, value) for time, value in self.knots))

    @property
    def extremes(self) -> tuple[float, float]:
        values = [value for _, value in self.knots]
        return min(values), max(values)


@dataclass(frozen=True)
class Cyclic(Schedule):
    """One cycle over the whole run: in a straight line from 0 to `peak`, and back to 0 at the end (Smith, 2017).

    Args:
        peak: the largest value.
        top: when it is reached, as a share of the run: 0.5 in the thesis' sections 4.1 and 4.2, 0.4 in 4.3.

    Example:
        >>> from autodual.train.schedules import Cyclic
        >>> Cyclic(0.2, top=0.4).over(200)
        PiecewiseLinear(knots=((0.0, 0.0), (80.0, 0.2), (200.0, 0.0)), unit='epochs')
    """

    peak: Finite
    top: Annotated[float, Range(0, 1, excluded=(0, 1))] = 0.5

    def __call__(self, epoch: float) -> float:
        return self._lines(epoch)

    def over(self, epochs: int) -> PiecewiseLinear:
        return self._lines.over(epochs)

    @property
    def extremes(self) -> tuple[float, float]:
        return self._lines.extremes

    @property
    def _lines(self) -> PiecewiseLinear:
        return PiecewiseLinear(((0.0, 0.0), (self.top, self.peak), (1.0, 0.0)), unit="run")
