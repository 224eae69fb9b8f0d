"""The tightest lines around a curve over an interval: one pair by area, one parallel pair by height."""

from __future__ import annotations

import torch
from torch import Tensor

from autodual.dual.curves.envelope import Bridge, bridges, stationary
from autodual.dual.relaxation import LinearRelaxation
from autodual.interval import Interval
from autodual.ir.scalars import Curve


def tightest_pair(curve: Curve, bounds: Interval) -> LinearRelaxation:
    """The lines that support the envelopes of `curve` at the middle of `bounds`: no others enclose less area."""
    over, under = bridges(curve, bounds)
    lower_slope, negated = _upper_line(curve.mirrored(), bounds, under)
    upper_slope, upper = _upper_line(curve, bounds, over)
    return LinearRelaxation((-lower_slope,), (upper_slope,), -negated, upper)


def tightest_parallel(curve: Curve, bounds: Interval) -> LinearRelaxation:
    """The two parallel lines of least vertical distance that enclose `curve` over `bounds`.

    The distance max(f - s·z) - min(f - s·z) is convex in the slope s, and its derivative is the distance between the
    points where the two extremes are taken. It changes sign only where one of them jumps: at the slope of a bridge.
    """
    over, under = bridges(curve, bounds)
    chords = [*over, *under]
    best = _tangent(curve, bounds)
    slopes = [torch.where(chord.present, _chord_slope(curve, chord, bounds), best) for chord in chords]
    wanted = [(best, None), *((slope, chord.present) for slope, chord in zip(slopes, chords))]
    first, *others = stationary(curve, bounds, wanted)
    lower, upper = _intercepts(curve, bounds, best, first)
    for chord, slope, points in zip(chords, slopes, others):
        low, high = _intercepts(curve, bounds, slope, [chord.start, chord.end, *points])
        better = chord.present & ((high - low) < (upper - lower)) & slope.isfinite()
        best, lower, upper = (
            torch.where(better, new, old) for new, old in ((slope, best), (low, lower), (high, upper))
        )
    common = (best,)
    return LinearRelaxation(common, common, lower, upper)


def _upper_line(curve: Curve, bounds: Interval, over: list[Bridge]) -> tuple[Tensor, Tensor]:
    """Slope and intercept of the line above that supports the concave envelope, with these bridges, at the middle."""
    middle = bounds.centre
    slope = _tangent(curve, bounds)
    points = [bounds.lower, bounds.upper, middle]
    for chord in over:
        here = chord.present & (chord.start <= middle) & (middle <= chord.end)
        slope = torch.where(here, _chord_slope(curve, chord, bounds), slope)
        # The touching points count only for the chord that is taken; elsewhere the middle stands in.
        points += [torch.where(here, chord.start, middle), torch.where(here, chord.end, middle)]
    return slope, _heights(curve, bounds, slope, points).amax(0)


def _intercepts(curve: Curve, bounds: Interval, slope: Tensor, points: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Least and greatest value of f - slope·z over bounds."""
    heights = _heights(curve, bounds, slope, [bounds.lower, bounds.upper, *points])
    return heights.amin(0), heights.amax(0)


def _heights(curve: Curve, bounds: Interval, slope: Tensor, points: list[Tensor]) -> Tensor:
    """f - slope·z at the points and at the knots between bounds, along a new first axis."""
    knots = [torch.full_like(slope, knot).clamp(bounds.lower, bounds.upper) for knot in curve.knots]
    at = torch.stack([*points, *knots])
    return curve.value(at) - slope * at


def _tangent(curve: Curve, bounds: Interval) -> Tensor:
    """The slope at the middle; 0 where it is infinite."""
    slope = curve.slope(bounds.centre)
    return torch.where(slope.isinf(), torch.zeros_like(slope), slope)


def _chord_slope(curve: Curve, chord: Bridge, bounds: Interval) -> Tensor:
    """The slope of a chord; where its ends are too close to tell, the slope at the middle."""
    run = chord.end - chord.start
    resolution = torch.finfo(run.dtype).eps ** 0.5 * chord.start.abs().maximum(chord.end.abs())
    wide = run > resolution
    safe = torch.where(wide, run, torch.ones_like(run))
    rise = curve.value(chord.end) - curve.value(chord.start)
    return torch.where(wide, rise / safe, _tangent(curve, bounds))
