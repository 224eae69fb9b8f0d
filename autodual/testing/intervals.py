"""The intervals over which relaxations are tested: ordinary, random, and at the limits of arithmetic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from autodual.interval import Interval
from autodual.tensors import flat
from autodual.testing.case import Case
from autodual.testing.points import spread_points

Pair = tuple[float, float]
#: The part of the real line on which an op has values, ends included.
Domain = tuple[float, float]

# Steps of the grid, and random points, of which tied points are made.
_TIED_POINTS = 8
_EVERYWHERE: Domain = (-math.inf, math.inf)
_SCALES = (1e-6, 1e-3, 0.1, 1.0, 3.0, 10.0, 100.0)
# Ordinary ones, touching zero, single points, lopsided.
_FIXED: tuple[Pair, ...] = (
    (-1.0, 2.0),
    (-2.0, 1.0),
    (-1.0, 1.0),
    (-1.5, 1.5),
    (0.0, 0.0),
    (-0.0, 0.0),
    (0.0, 1.0),
    (-1.0, 0.0),
    (0.5, 2.0),
    (-2.0, -0.5),
    (0.7, 0.7),
    (-0.7, -0.7),
    (-0.1, 0.3),
    (-1 / 3, 1 / 7),
    (-4.0, 4.0),
    (-8.0, 1.0),
    (-1.0, 8.0),
    (-20.0, 20.0),
    (-0.01, 5.0),
    (-5.0, 0.01),
)


@dataclass(frozen=True, eq=False)
class Trial:
    """Bounds of each input `[N, *shape]`; `ordinary` `[N]`: of moderate size, so that results must be finite.

    tied: where the op's operands are tied, points `[P, N, *shape]` of each input within the bounds, in float64.
    """

    bounds: tuple[Interval, ...]
    ordinary: Tensor
    tied: tuple[Tensor, ...] = ()

    def points(self, count: int) -> list[Tensor]:
        """Points between the bounds, in float64: about `count`, as `spread_points` makes them, or all that are tied."""
        if self.tied:
            return list(self.tied)
        return spread_points([bound.map(lambda end: end.double()) for bound in self.bounds], count)

    def some(self, chosen: Tensor) -> Trial:
        """The `chosen` ones of the N, by index or mask."""
        bounds = tuple(bound.map(lambda end: end[chosen]) for bound in self.bounds)
        return Trial(bounds, self.ordinary[chosen], tuple(points[:, chosen] for points in self.tied))


def trials(case: Case, domain: Domain, extra: Sequence[Pair], bends: Sequence[float] = (), *, several: bool) -> Trial:
    """All intervals of a case.

    Args:
        case: the rule and the op.
        domain: the part of the real line on which the op has values; other intervals are mapped into it.
        extra: further intervals.
        bends: points that intervals should straddle, besides the ends of those in `extra`.
        several: whether outputs depend on several scalars. If so, each interval is tried for all scalars of a sample,
            then intervals are mixed among scalars and inputs; otherwise each scalar gets an interval of its own.
    """
    usual = [_within(pair, domain) for pair in [*_FIXED, *_random(case), *_around(extra, bends)]] + list(extra)
    rare = [_within(pair, domain) for pair in _extreme(case.dtype)]
    generator = torch.Generator().manual_seed(case.seed + 17)
    make = _mixed if several else _dealt
    bounds, flags = [], torch.empty(0)
    for shape in case.shapes:
        parts = [make(torch.tensor(pairs, dtype=torch.float64), shape, case, generator) for pairs in (usual, rare)]
        ends = torch.cat(parts).to(case.device, case.dtype)
        bounds.append(Interval(ends[..., 0].reshape(-1, *shape), ends[..., 1].reshape(-1, *shape)))
        flags = torch.cat([torch.full((len(part),), part is parts[0]) for part in parts])
    trial = Trial(tuple(bounds), flags.to(case.device))
    return _tied(case, trial.some(trial.ordinary)) if case.ties else trial


def _tied(case: Case, trial: Trial) -> Trial:
    """Bounds that are the hulls of tied points, made of points within the bounds of a trial."""
    points = case.tied(trial.points(_TIED_POINTS))
    known = [flat(point.isfinite().all(0), 1).all(1) for point in points]
    hulls = [Interval(_outwards(point.amin(0), -1, case), _outwards(point.amax(0), 1, case)) for point in points]
    return Trial(tuple(hulls), trial.ordinary, tuple(points)).some(torch.stack(known).all(0))


def _outwards(end: Tensor, sign: int, case: Case) -> Tensor:
    """A number of the case's dtype that is not further inwards."""
    near = end.to(case.dtype)
    return torch.where(sign * (near.double() - end) >= 0, near, near.nextafter(torch.full_like(near, sign * math.inf)))


def _dealt(ends: Tensor, shape: tuple[int, ...], case: Case, generator: torch.Generator) -> Tensor:
    """Pairs `[M, 2]` distributed over the scalars of samples, each at least once: `[N, size, 2]`."""
    size = torch.Size(shape).numel()
    count = -(-len(ends) // size)
    order = torch.arange(count * size) % len(ends)
    return ends[order].reshape(count, size, 2)


def _mixed(ends: Tensor, shape: tuple[int, ...], case: Case, generator: torch.Generator) -> Tensor:
    """Each of the pairs `[M, 2]` for all scalars of a sample, then random pairs for each scalar: `[N, size, 2]`."""
    size = torch.Size(shape).numel()
    index = torch.randint(len(ends), (case.samples, size), generator=generator)
    return torch.cat([ends.unsqueeze(1).expand(-1, size, -1), ends[index]])


def _random(case: Case) -> list[Pair]:
    generator = torch.Generator().manual_seed(case.seed + 5)
    pairs = []
    for place in range(case.samples):
        scale = _SCALES[place % len(_SCALES)]
        centre, radius = (float(number) for number in torch.randn(2, generator=generator, dtype=torch.float64))
        spread = scale if place % 2 else max(scale, 3.0)  # narrow ones near the origin, and anywhere
        pairs.append((centre * spread - abs(radius) * scale, centre * spread + abs(radius) * scale))
    return pairs


def _around(extra: Sequence[Pair], bends: Sequence[float]) -> list[Pair]:
    """Intervals that straddle the points `bends` and the ends of the pairs in `extra`."""
    points = sorted({end for end in [*bends, *(end for pair in extra for end in pair)] if math.isfinite(end)})
    return [(point - low, point + high) for point in points for low, high in ((0.5, 0.5), (0.01, 2.0), (2.0, 0.01))]


def _extreme(dtype: torch.dtype) -> list[Pair]:
    """Denormal, huge and infinite ends, for a floating-point format."""
    limits = torch.finfo(dtype)
    least, most = limits.smallest_normal * limits.eps, limits.max
    little, much = limits.smallest_normal**0.5, limits.max**0.5
    ends = (
        (-1.0, least),
        (-least, 1.0),
        (-least, least),
        (-least, 3 * least),
        (0.0, least),
        (-least, 0.0),
        (-1.0, little),
        (-little, 1.0),
        (-little, much),
        (-much, little),
        (-most, 1.0),
        (-1.0, most),
        (-most / 2, most / 2),
        (-most, most),
        (-most, least),
        (-least, most),
        (-math.inf, 1.0),
        (-1.0, math.inf),
        (-math.inf, math.inf),
        (1e4, 1e4 * (1 + 4 * limits.eps)),
        (-1e3, 1e4),
    )
    return list(ends)


def _within(pair: Pair, domain: Domain) -> Pair:
    """A pair mapped into a domain, in increasing order."""
    low, high = domain
    if domain == _EVERYWHERE:
        return pair
    if math.isinf(high):
        ends = [low + abs(end) for end in pair]
    elif math.isinf(low):
        ends = [high - abs(end) for end in pair]
    else:
        ends = [(low + high) / 2 + (high - low) / math.pi * math.atan(end) for end in pair]
    return min(ends), max(ends)
