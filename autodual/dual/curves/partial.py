"""The rule of functions that are defined on part of the real line."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from autodual.dual.curves.rule import CurveRule
from autodual.dual.relaxation import LinearRelaxation
from autodual.interval import Interval
from autodual.ir.expressions import Environment


class PartialCurveRule(CurveRule):
    """A function with a domain: where bounds leave it, nothing is known, and no number comes out."""

    #: A point well inside the domain, where the slope is finite.
    inside: float = 1.0

    @abstractmethod
    def defined(self, op: Any, bounds: Interval) -> Tensor:
        """Where the whole interval is within the domain."""

    def range(self, op: Any, bounds: Sequence[Interval], environment: Environment) -> Interval:
        within, known = self._within(op, bounds[0])
        found = super().range(op, [within], environment)
        return found.map(lambda end: _or_nan(known, end))

    def parallel(self, op: Any, bounds: Sequence[Interval], environment: Environment) -> LinearRelaxation:
        within, known = self._within(op, bounds[0])
        return _only(known, super().parallel(op, [within], environment))

    def adaptive(self, op: Any, bounds: Sequence[Interval], environment: Environment) -> LinearRelaxation:
        within, known = self._within(op, bounds[0])
        return _only(known, super().adaptive(op, [within], environment))

    def undecided(self, op: Any, bounds: Sequence[Interval], environment: Environment) -> Tensor:
        return super().undecided(op, bounds, environment) | ~self.defined(op, bounds[0])

    def _within(self, op: Any, bounds: Interval) -> tuple[Interval, Tensor]:
        """Bounds that are within the domain, a harmless stand-in for the others, and which ones they are."""
        known = self.defined(op, bounds)
        return bounds.map(lambda end: torch.where(known, end, torch.full_like(end, self.inside))), known


def _or_nan(known: Tensor, value: Tensor) -> Tensor:
    return torch.where(known, value, torch.full_like(value, math.nan))


def _only(known: Tensor, found: LinearRelaxation) -> LinearRelaxation:
    low, high = (_or_nan(known, part) for part in (found.lower_intercept, found.upper_intercept))
    return LinearRelaxation(found.lower_slopes, found.upper_slopes, low, high)
