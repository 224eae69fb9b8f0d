"""Concave envelopes of curves over intervals, and the lines that support them.

Over [l, u] the least concave function above a curve follows the curve where that is concave and bridges each convex
stretch by a chord from a to b. Of all lines above the curve, the one that supports this envelope at the middle m
encloses the least area, since the area under a line depends on its height at m alone. Each end of a bridge is l, u or
a touching point on a concave stretch, where the bridge has the curve's slope.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

from autodual.dual.curves.bisection import Search, found
from autodual.interval import Interval
from autodual.ir.scalars import Curve, Piece


@dataclass(frozen=True, eq=False)
class Bridge:
    """The chord from `start` to `end` over a convex stretch; `present` where the interval has any of that stretch."""

    start: Tensor
    end: Tensor
    present: Tensor


def bridges(curve: Curve, bounds: Interval) -> tuple[list[Bridge], list[Bridge]]:
    """The bridges of the concave envelopes of `curve` and of its negative over `bounds`, each from left to right.

    Bridges that meet are merged.
    """
    sides = [_spans(curve, bounds, 1.0), _spans(curve.mirrored(), bounds, -1.0)]
    searches = [search for side in sides for span in side for search in span.searches]
    points = iter(found(curve, _tangent_at, bounds, searches))
    over, under = ([span.bridge([next(points) for _ in span.searches]) for span in side] for side in sides)
    return _merged(over), _merged(under)


def stationary(curve: Curve, bounds: Interval, slopes: Sequence[tuple[Tensor, Tensor | None]]) -> list[list[Tensor]]:
    """The points at which a curve has given slopes: for each slope one point per piece.

    A piece is searched as far as it lies within bounds; if it has the slope nowhere, the point is the nearer end.

    Args:
        curve: the curve.
        bounds: the units' bounds.
        slopes: pairs of a slope per unit, and the mask of units where it is wanted, or None for all.
    """
    within = [(piece, (bounds.lower < piece.end) & (bounds.upper > piece.start)) for piece in curve.pieces]
    searches = [
        Search(piece, where if wanted is None else where & wanted, slope, slope, 1.0 if piece.convex else -1.0)
        for slope, wanted in slopes
        for piece, where in within
    ]
    points = found(curve, _slope_at, bounds, searches)
    placed = [torch.where(search.where, point, bounds.lower) for search, point in zip(searches, points, strict=True)]
    count = len(within)
    return [placed[place * count : (place + 1) * count] for place in range(len(slopes))]


def _slope_at(curve: Curve, z: Tensor, given: Tensor) -> Tensor:
    return curve.slope(z)


def _tangent_at(curve: Curve, z: Tensor, end: Tensor) -> Tensor:
    """The height at `end` of the tangent at z; f(end) where z is the touching point of a line through (end, f(end))."""
    return curve.value(z) + curve.slope(z) * (end - z)


@dataclass(frozen=True, eq=False)
class _Span:
    """The bridge over one convex stretch before its touching points on the concave stretches beside it are found."""

    bounds: Interval
    present: Tensor
    before: _Lean | None
    after: _Lean | None

    @property
    def searches(self) -> list[Search]:
        """Searches for the touching points on either side."""
        return [lean.search for lean in (self.before, self.after) if lean is not None]

    def bridge(self, points: list[Tensor]) -> Bridge:
        """The bridge, from the points that the searches found."""
        lower, upper = self.bounds.lower, self.bounds.upper
        start, end = lower, upper
        if self.before is not None:
            touch = torch.where(self.before.alone, points[0], self.before.both)
            start = torch.where(self.before.leans, lower.maximum(touch), lower)
        if self.after is not None:
            touch = torch.where(self.after.alone, points[-1], self.after.both)
            end = torch.where(self.after.leans, upper.minimum(touch), upper)
        return Bridge(start, end, self.present)


@dataclass(frozen=True, eq=False)
class _Lean:
    """One end of a bridge: where it `leans` on the stretch beside, touching it; where it `alone` does, and the point
    where it touches if `both` ends do.
    """

    leans: Tensor
    alone: Tensor
    both: float
    search: Search


def _spans(curve: Curve, bounds: Interval, sign: float) -> list[_Span]:
    pieces = curve.pieces
    return [_span(curve, place, bounds, sign) for place, piece in enumerate(pieces) if piece.convex]


def _span(curve: Curve, place: int, bounds: Interval, sign: float) -> _Span:
    """The span of the piece number `place`; `curve` is sign times the curve on which points are searched."""
    pieces = curve.pieces
    piece, lower, upper = pieces[place], bounds.lower, bounds.upper
    present = (lower < piece.end) & (upper > piece.start)
    # In wide enough bounds both ends lean on the stretches beside, where one line touches both.
    left, right = dict(curve.bitangents).get(place, (-float("inf"), float("inf")))
    before = after = None
    if place > 0:
        leans, alone = present & (lower < piece.start), upper < right
        search = _touch(curve, pieces[place - 1], leans & alone, upper, sign, rightmost=False)
        before = _Lean(leans, alone, left, search)
    if place + 1 < len(pieces):
        leans, alone = present & (upper > piece.end), lower > left
        search = _touch(curve, pieces[place + 1], leans & alone, lower, sign, rightmost=True)
        after = _Lean(leans, alone, right, search)
    return _Span(bounds, present, before, after)


def _touch(curve: Curve, piece: Piece, where: Tensor, end: Tensor, sign: float, *, rightmost: bool) -> Search:
    """Where a line through the curve at `end` touches a concave piece to its right (or left)."""
    return Search(piece, where, end, sign * curve.value(end.detach()), sign, flipped=not rightmost)


def _merged(apart: list[Bridge]) -> list[Bridge]:
    """The bridges, those that would cross over the concave stretch between them replaced by one chord over both."""
    return reduce(_joined, apart, [])


def _joined(before: list[Bridge], bridge: Bridge) -> list[Bridge]:
    if not before:
        return [bridge]
    *rest, last = before
    meet = last.present & bridge.present & (last.end >= bridge.start)
    kept = Bridge(last.start, last.end, last.present & ~meet)
    return [*rest, kept, Bridge(torch.where(meet, last.start, bridge.start), bridge.end, bridge.present)]
