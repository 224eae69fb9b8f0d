"""Branch and bound over the binaries of a program: linear programs by HiGHS, each of whose bounds is proved anew.

A part of the search is closed only by `certain_minimum` of the multipliers that HiGHS returns there, never by what
HiGHS itself says: neither its objective, which holds up to tolerances, nor that a part has no point.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy
from torch import Tensor

from autodual.exact.certain_minimum import certain_minimum
from autodual.exact.linear_program import Array, Program
from autodual.exact.linear_solver import LinearSolver, Solved
from autodual.exact.time_allowed import Clock

# How far from 0 and 1 a binary has to be to be split.
_FRACTIONAL = 1e-9
# How far beyond what is needed a linear program is solved, relative to that.
_ROOM = 1e-7


@dataclass(frozen=True)
class Goal:
    """When a search has done enough.

    Args:
        above: a minimum above this needs no better bound.
        gap: how far the bound may stay below the least value found.
    """

    above: float = math.inf
    gap: float = 0.0


@dataclass(frozen=True, eq=False)
class Tried:
    """The network's own value at a point `[1, *shape]` that a solution names, and whether that ends the search."""

    value: float
    point: Tensor
    ends: bool = False


@dataclass(frozen=True, eq=False)
class Found:
    """How a search ended.

    Args:
        lower: a proved lower bound of the minimum.
        upper: the least value found; infinite where no point was.
        point: where it was found, `[1, *shape]`, or None.
        parts: how many linear programs were solved.
        finished: whether the time sufficed.
        ended: whether the point ended the search.
    """

    lower: float
    upper: float
    point: Tensor | None
    parts: int
    finished: bool
    ended: bool = False


@dataclass(frozen=True, eq=False)
class _Part:
    """Bounds of the binaries, and the bound of the part that it was split from."""

    lower: Array
    upper: Array
    bound: float


def branch_and_bound(
    program: Program, cost: Array, attempt: Callable[[Array], Tried], goal: Goal, clock: Clock
) -> Found:
    """The least cost · x of a program, bounded from below and from above.

    attempt: runs the network at a solution of a linear program.
    """
    return _Search(program, cost, attempt, goal, clock).found()


class _Search:
    def __init__(
        self, program: Program, cost: Array, attempt: Callable[[Array], Tried], goal: Goal, clock: Clock
    ) -> None:
        self._program, self._cost, self._attempt = program, cost, attempt
        self._goal, self._clock = goal, clock
        self._solver = LinearSolver(program, cost)
        free = program.binary
        self._open = [_Part(program.lower[free], program.upper[free], -math.inf)]
        self._closed, self._upper, self._parts = math.inf, math.inf, 0
        self._point: Tensor | None = None

    def found(self) -> Found:
        if not self._solver.takes:
            return Found(-math.inf, math.inf, None, 0, finished=True)
        ended = False
        while self._open and not ended and self._clock.left > 0:
            part = self._open.pop()
            solved = self._solver.solve(part.lower, part.upper, self._enough, self._clock.left)
            if solved is None:
                self._open.append(part)
                break
            self._parts += 1
            bound = max(part.bound, self._proved(part, solved))
            ended = solved.point is not None and self._tries(solved.point)
            if ended or not self._split(part, solved, bound):
                self._closed = min(self._closed, bound)
        lower = min([self._closed, *(part.bound for part in self._open)])
        return Found(lower, self._upper, self._point, self._parts, ended or not self._open, ended)

    @property
    def _enough(self) -> float:
        """A value of a linear program that closes its part, with room for what its proof loses to rounding."""
        least = min(self._goal.above, self._upper - self._goal.gap)
        return least + _ROOM * (1 + abs(least)) if math.isfinite(least) else math.inf

    def _proved(self, part: _Part, solved: Solved) -> float:
        """The certain bound of a part; infinite where it is proved to have no point."""
        lower, upper = self._program.lower.copy(), self._program.upper.copy()
        lower[self._program.binary], upper[self._program.binary] = part.lower, part.upper
        if not solved.infeasible:
            return certain_minimum(self._program, self._cost, solved.multipliers, lower, upper)
        nothing = numpy.zeros_like(self._cost)
        # 0 · x > 0 has no solution; a ray that HiGHS returns may have either sign.
        for ray in (solved.multipliers, -solved.multipliers):
            if certain_minimum(self._program, nothing, ray, lower, upper) > 0:
                return math.inf
        return -math.inf

    def _tries(self, point: Array) -> bool:
        tried = self._attempt(point)
        if tried.value < self._upper or tried.ends:
            self._upper, self._point = tried.value, tried.point
        return tried.ends

    def _split(self, part: _Part, solved: Solved, bound: float) -> bool:
        """Whether two halves of a part now wait in its place."""
        if bound > self._goal.above or bound >= self._upper - self._goal.gap:
            return False
        place = self._chosen(part, solved)
        if place is None:
            return False
        likely = 0.5 if solved.point is None else solved.point[self._program.binary[place]]
        for value in (0.0, 1.0) if likely >= 0.5 else (1.0, 0.0):  # the likelier half is taken first
            ends = part.lower.copy(), part.upper.copy()
            ends[0][place] = ends[1][place] = value
            self._open.append(_Part(*ends, bound))
        return True

    def _chosen(self, part: _Part, solved: Solved) -> int | None:
        """The binary whose rows carry the largest multipliers, times how far it is from a whole number."""
        free = part.lower < part.upper
        if not free.any():
            return None
        if solved.point is None:
            return int(free.argmax())
        values = solved.point[self._program.binary]
        away = numpy.where(free, numpy.minimum(values, 1 - values), 0.0)
        if away.max() <= _FRACTIONAL:
            return None
        products = self._program.values * numpy.repeat(solved.multipliers, numpy.diff(self._program.starts))
        weight = numpy.bincount(self._program.columns, numpy.abs(products), minlength=self._program.width)
        score = weight[self._program.binary] * away
        return int((score if score.max() > 0 else away).argmax())
