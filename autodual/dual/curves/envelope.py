"""Concave envelopes of curves over intervals, and the lines that support them.

Over [l, u] the least concave function above a curve follows the curve where that is concave and bridges each convex
stretch by a chord from a to b. Of all lines above the curve, the one that supports this envelope at the middle m
encloses the least area, since the area under a line depends on its height at m alone. A bridge ends in l or u, or
touches a concave stretch: there its slope is the curve's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from autodual.interval import Interval
from autodual.ir.scalars import Curve, Piece

# Halvings that leave a bracket of a few units in the last place, also where it spans many orders of magnitude.
_HALVINGS = {torch.float64: 64, torch.float32: 44, torch.bfloat16: 24, torch.float16: 24}


@dataclass(frozen=True, eq=False)
class Bridge:
    """The chord from `start` to `end` over a convex stretch; `present` where the interval has any of that stretch."""

    start: Tensor
    end: Tensor
    present: Tensor


def bridges(curve: Curve, bounds: Interval) -> list[Bridge]:
    """The bridges of the concave envelope over bounds, from left to right; those that meet are one."""
    merged: list[Bridge] = []
    for bridge in (_bridge(curve, place, bounds) for place, piece in enumerate(curve.pieces) if piece.convex):
        if merged:
            # Both lean on the concave stretch between them; where they would cross there, one chord spans everything.
            last = merged.pop()
            meet = last.present & bridge.present & (last.end >= bridge.start)
            merged.append(Bridge(last.start, last.end, last.present & ~meet))
            bridge = Bridge(torch.where(meet, last.start, bridge.start), bridge.end, bridge.present)
        merged.append(bridge)
    return merged


def _bridge(curve: Curve, place: int, bounds: Interval) -> Bridge:
    pieces = curve.pieces
    piece = pieces[place]
    before = pieces[place - 1] if place > 0 else None
    after = pieces[place + 1] if place + 1 < len(pieces) else None
    lower, upper = bounds.lower, bounds.upper
    present = (lower < piece.end) & (upper > piece.start)
    start, end = lower, upper
    # Where there is room, both ends lean on the stretches beside: on the points where one line touches both.
    left, right = dict(curve.bitangents).get(place, (-float("inf"), float("inf")))
    if before is not None:
        leans = present & (lower < piece.start)
        touch = _touch(curve, before, bounds, leans & (upper < right), upper, rightmost=False)
        start = torch.where(leans, lower.maximum(torch.where(upper < right, touch, left)), lower)
    if after is not None:
        leans = present & (upper > piece.end)
        touch = _touch(curve, after, bounds, leans & (lower > left), lower, rightmost=True)
        end = torch.where(leans, upper.minimum(torch.where(lower > left, touch, right)), upper)
    return Bridge(start, end, present)


def _touch(curve: Curve, piece: Piece, bounds: Interval, where: Tensor, fixed: Tensor, *, rightmost: bool) -> Tensor:
    """Where, within bounds, a line through the curve at `fixed` touches a concave piece to its right (or left)."""

    def further_right(z: Tensor, end: Tensor) -> Tensor:
        # While the tangent at z passes below the fixed point, some of the curve between lies above the chord.
        below = curve.value(z) + curve.slope(z) * (end - z) < curve.value(end)
        return below if rightmost else ~below

    return _bisect(piece, bounds, where, further_right, fixed)


def stationary(curve: Curve, piece: Piece, bounds: Interval, slope: Tensor) -> Tensor:
    """Where in a piece, as far as it lies within bounds, the curve has this slope; the nearer end if nowhere."""

    def further_right(z: Tensor, wanted: Tensor) -> Tensor:
        return curve.slope(z) < wanted if piece.convex else curve.slope(z) > wanted

    where = (bounds.lower < piece.end) & (bounds.upper > piece.start)
    return torch.where(where, _bisect(piece, bounds, where, further_right, slope), bounds.lower)


def _bisect(
    piece: Piece, bounds: Interval, where: Tensor, further_right: Callable[[Tensor, Tensor], Tensor], given: Tensor
) -> Tensor:
    """The point within a piece and bounds where `further_right(point, given)` turns false; elsewhere than `where` any.

    For gradients inner points are constants: moving a touching point moves its line only to second order. Where the
    search ran into a bound, the point moves with it.
    """
    point, first, last = _halved(piece, bounds.map(Tensor.detach), where, further_right, given.detach())
    drift = bounds.map(lambda end: (end - end.detach()).nan_to_num(0.0))
    point = torch.where(first, point + drift.lower, point)
    return torch.where(last, point + drift.upper, point)


@torch.no_grad()
def _halved(
    piece: Piece, bounds: Interval, where: Tensor, further_right: Callable[[Tensor, Tensor], Tensor], given: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The point, and where the search never left the lower bound, or the upper one.

    Slopes are never asked for at the ends themselves, where a knot may have another one on the other side.
    """
    lower, upper, given = (end[where] for end in (bounds.lower, bounds.upper, given))
    low, high = lower.clamp(piece.start, piece.end), upper.clamp(piece.start, piece.end)
    first, last = low == lower, high == upper
    for _ in range(_HALVINGS[low.dtype] if low.numel() else 0):
        middle = (low + high) / 2
        right = further_right(middle, given)
        low, high = torch.where(right, middle, low), torch.where(right, high, middle)
        first, last = first & ~right, last & right
    nowhere = torch.zeros_like(where)
    return (
        bounds.lower.masked_scatter(where, (low + high) / 2),
        nowhere.masked_scatter(where, first),
        nowhere.masked_scatter(where, last),
    )
