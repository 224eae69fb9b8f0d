"""A function of one variable with all that is needed to enclose it between lines."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from itertools import pairwise

import torch
from torch import Tensor

from autodual.interval import Interval

Function = Callable[[Tensor], Tensor]
_INFINITY = math.inf


@dataclass(frozen=True)
class Domain:
    """An interval of the real line on which a function is defined.

    Args:
        start: its lower end.
        end: its upper end.
        open: whether finite ends do not belong to it.

    Example:
        >>> from autodual.extend import Domain
        >>> str(Domain(0.0, open=True)), str(Domain(-1.0, 1.0))
        ('0 < x', '-1 ≤ x ≤ 1')
    """

    start: float = -_INFINITY
    end: float = _INFINITY
    open: bool = False

    def __str__(self) -> str:
        sign = "<" if self.open else "≤"
        ends = (
            f"{self.start:g} {sign} " * math.isfinite(self.start),
            f" {sign} {self.end:g}" * math.isfinite(self.end),
        )
        return "x".join(ends) if any(ends) else "all x"

    def contains(self, bounds: Interval) -> Tensor:
        """Where all of `bounds` lies in the domain, as a mask of its shape; nowhere if an end is NaN."""
        after = bounds.lower > self.start if self.open and self.start > -_INFINITY else bounds.lower >= self.start
        before = bounds.upper < self.end if self.open and self.end < _INFINITY else bounds.upper <= self.end
        return after & before


@dataclass(frozen=True, eq=False)
class Piece:
    """An interval [start, end] of the real line on which a function is convex, or concave."""

    start: float
    end: float
    convex: bool


@dataclass(frozen=True, eq=False)
class Curve:
    """A continuous function that is convex and concave by turns.

    Args:
        value: the function, elementwise and differentiable.
        slope: its derivative, likewise; at a knot any value between the one-sided ones.
        inflections: where curvature changes sign, in increasing order.
        convex: whether the first piece is convex.
        knots: where the slope jumps.
        turning: where the function has its local extremes.
        straight: stretches on which the function is affine.
        bitangents: pairs of a piece's number and the points where one line touches both pieces beside it, where there
            is such a line.
        limits: two numbers that computed values never leave, whatever the bounds.
        domain: the stretches on which the function is defined, if not everywhere; an interval must lie within one.
        inside: a point well within the domain, where value and slope are finite.

    Example:
        >>> import torch
        >>> from autodual.extend import Curve, Interval
        >>> square = Curve(torch.square, lambda z: 2 * z, turning=(0.0,))
        >>> values = square.range(Interval(torch.tensor([-1.0]), torch.tensor([2.0])))
        >>> values.lower, values.upper
        (tensor([0.]), tensor([4.]))
    """

    value: Function
    slope: Function
    inflections: tuple[float, ...] = ()
    convex: bool = True
    knots: tuple[float, ...] = ()
    turning: tuple[float, ...] = ()
    straight: tuple[tuple[float, float], ...] = ()
    bitangents: tuple[tuple[int, tuple[float, float]], ...] = ()
    limits: tuple[float, float] = (-_INFINITY, _INFINITY)
    domain: tuple[Domain, ...] = ()
    inside: float = 1.0

    @cached_property
    def pieces(self) -> tuple[Piece, ...]:
        """The convex and concave stretches, from left to right."""
        ends = (-_INFINITY, *self.inflections, _INFINITY)
        return tuple(
            Piece(start, end, self.convex == (place % 2 == 0)) for place, (start, end) in enumerate(pairwise(ends))
        )

    def defined(self, bounds: Interval) -> Tensor:
        """Where the function is known to be defined on all of `bounds`, as a mask of its shape."""
        within = [stretch.contains(bounds) for stretch in self.domain]
        return reduce(torch.logical_or, within) if within else torch.ones_like(bounds.lower, dtype=torch.bool)

    def within(self, bounds: Interval) -> Interval:
        """The `bounds` where they lie in the domain; elsewhere the point `inside`, to keep the arithmetic finite."""
        if not self.domain:
            return bounds
        known = self.defined(bounds)
        return bounds.map(lambda end: torch.where(known, end, torch.full_like(end, self.inside)))

    def only_defined(self, value: Tensor, bounds: Interval) -> Tensor:
        """The `value`, but NaN where `bounds` leave the domain."""
        return torch.where(self.defined(bounds), value, torch.full_like(value, math.nan)) if self.domain else value

    def range(self, bounds: Interval) -> Interval:
        """Least and greatest value over `bounds`; NaN where they leave the domain."""
        found = self._extremes(self.within(bounds))
        return found.map(lambda end: self.only_defined(end, bounds))

    def _extremes(self, bounds: Interval) -> Interval:
        first, last = self.value(bounds.lower), self.value(bounds.upper)
        lower, upper = first.minimum(last), first.maximum(last)
        for point in (*self.turning, *self.knots):
            inside = torch.full_like(first, point).clamp(bounds.lower, bounds.upper)
            value = self.value(inside)
            lower, upper = lower.minimum(value), upper.maximum(value)
        return Interval(lower, upper)

    def steepest(self, bounds: Interval) -> Tensor:
        """The largest |slope| over `bounds`, at their ends, inflections or knots: between these it is monotone."""
        points = [torch.full_like(bounds.lower, place) for place in (*self.inflections, *self.knots)]
        for knot in points[len(self.inflections) :]:
            points += [knot.nextafter(torch.full_like(knot, end)) for end in (-torch.inf, torch.inf)]
        inside = [point.clamp(bounds.lower, bounds.upper) for point in points]
        return torch.stack([self.slope(point).abs() for point in (bounds.lower, bounds.upper, *inside)]).amax(0)

    def affine_over(self, bounds: Interval) -> Tensor:
        """Where the function is affine over `bounds`, so that tighter bounds would not improve its relaxation."""
        known = bounds.lower == bounds.upper
        for start, end in self.straight:
            known = known | ((bounds.lower >= start) & (bounds.upper <= end))
        return known

    def mirrored(self) -> Curve:
        """The function with the opposite sign."""
        return replace(self, value=lambda z: -self.value(z), slope=lambda z: -self.slope(z), convex=not self.convex)
