"""What is known of a function of one variable, for enclosing it between lines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from autodual.interval import Interval

Function = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Piece:
    """A stretch [start, end] of the real line on which a function is convex, or concave."""

    start: float
    end: float
    convex: bool


@dataclass(frozen=True, eq=False)
class Curve:
    """A continuous function that is convex and concave by turns.

    value, slope: the function and its derivative, elementwise and differentiable; `slope` may take any of
    the values between the one-sided ones at a knot.
    inflections: where curvature changes sign, in increasing order. convex: curvature of the first piece.
    knots: where the slope jumps. turning: where the function has its local extremes.
    straight: stretches on which the function is affine. bitangents: by number of a piece with two others beside it, the
    points where one line touches both of these, if there is such a line.
    """

    value: Function
    slope: Function
    inflections: tuple[float, ...] = ()
    convex: bool = True
    knots: tuple[float, ...] = ()
    turning: tuple[float, ...] = ()
    straight: tuple[tuple[float, float], ...] = ()
    bitangents: tuple[tuple[int, tuple[float, float]], ...] = ()

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """The stretches of one curvature, from left to right."""
        ends = (-float("inf"), *self.inflections, float("inf"))
        return tuple(
            Piece(start, end, self.convex == (place % 2 == 0)) for place, (start, end) in enumerate(pairwise(ends))
        )

    def range(self, bounds: Interval) -> Interval:
        """Least and greatest value between bounds."""
        first, last = self.value(bounds.lower), self.value(bounds.upper)
        lower, upper = first.minimum(last), first.maximum(last)
        for point in (*self.turning, *self.knots):
            inside = torch.full_like(first, point).clamp(bounds.lower, bounds.upper)
            value = self.value(inside)
            lower, upper = lower.minimum(value), upper.maximum(value)
        return Interval(lower, upper)

    def steepest(self, bounds: Interval) -> Tensor:
        """The largest |slope| between bounds; a slope is monotone between inflections and knots."""
        points = [torch.full_like(bounds.lower, place) for place in (*self.inflections, *self.knots)]
        for knot in points[len(self.inflections) :]:
            points += [knot.nextafter(torch.full_like(knot, end)) for end in (-torch.inf, torch.inf)]
        inside = [point.clamp(bounds.lower, bounds.upper) for point in points]
        return torch.stack([self.slope(point).abs() for point in (bounds.lower, bounds.upper, *inside)]).amax(0)

    def affine_over(self, bounds: Interval) -> Tensor:
        """Where the function is affine between bounds, so that tighter ones would tell nothing new."""
        known = bounds.lower == bounds.upper
        for start, end in self.straight:
            known = known | ((bounds.lower >= start) & (bounds.upper <= end))
        return known

    def mirrored(self) -> Curve:
        """The function with the opposite sign."""
        return Curve(
            value=lambda z: -self.value(z),
            slope=lambda z: -self.slope(z),
            inflections=self.inflections,
            convex=not self.convex,
            knots=self.knots,
            turning=self.turning,
            straight=self.straight,
            bitangents=self.bitangents,
        )
