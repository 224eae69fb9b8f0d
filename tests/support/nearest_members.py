"""Nearest points of Wasserstein balls in a hundred digits, by Wolfe's method: the oracle of exact projections.

The point nearest to w is a mixture of few corners. Wolfe's method (1976) adds the corner that is farthest along what is
missing, w - z, and goes to the nearest mixture of those that it has. Where the farthest corner s is no farther than z,
z is the nearest point: |z - z*|² ≤ <w - z, s - z> for all z.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal, localcontext

from torch import Tensor

from tests.support.transport_programs import Plans

#: Digits of all numbers, and the gap <w - z, s - z> at which z is the nearest point to 20 digits.
DIGITS, GAP = 100, Decimal("1e-40")

Numbers = list[Decimal]


def nearest_member(w: Tensor, x: Tensor, budget: float, plans: Plans) -> list[float]:
    """The pixels of the nearest point to w of the ball around x; of one image each, float64."""
    with localcontext(prec=DIGITS):
        corners = _Corners(_numbers(x.flatten().tolist()), Decimal(budget), plans)
        mixture, aim = _Mixture(), _numbers(w.flatten().tolist())
        missing = [Decimal(0)] * len(aim)
        for _ in range(500):
            corner = [one - target for one, target in zip(corners.farthest(missing), aim, strict=True)]
            if mixture.points and _inner(missing, corner) + _inner(missing, missing) <= GAP:
                return [float(target - part) for target, part in zip(aim, missing, strict=True)]
            mixture.add(corner)
            missing = [-one for one in mixture.point()]
    raise AssertionError("Wolfe's method has not ended")


@dataclass
class _Corners:
    """The ball around x, with the moves of each pixel: target and price."""

    x: Numbers
    budget: Decimal
    plans: Plans
    moves: list[list[tuple[int, Decimal]]] = field(init=False)

    def __post_init__(self) -> None:
        self.moves = [[] for _ in self.x]
        columns = (self.plans.source.tolist(), self.plans.target.tolist(), self.plans.price.tolist())
        for source, target, price in zip(*columns, strict=True):
            self.moves[source].append((target, Decimal(price)))

    def farthest(self, row: Numbers) -> Numbers:
        """A point at which <row, z> is greatest: a mixture of the best plans just below and above the best price."""
        kinks = sorted({Decimal(0)} | {kink for own in self.moves for kink in _kinks(row, own)})
        low, high = -1, len(kinks) - 1  # above the last kink nothing moves
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._plan(row, kinks[middle], 1)[1] > self.budget else (low, middle)
        (cheap, least), (dear, most) = (self._plan(row, kinks[high], sign) for sign in (1, -1))
        if kinks[high] == 0 or most <= self.budget:
            return cheap
        share = (self.budget - least) / (most - least)
        return [share * one + (1 - share) * other for one, other in zip(dear, cheap, strict=True)]

    def _plan(self, row: Numbers, price: Decimal, sign: int) -> tuple[Numbers, Decimal]:
        """Where the best plan at a price leads, and its cost; of equal moves the cheapest, or the dearest if -1."""
        point, cost = [Decimal(0)] * len(row), Decimal(0)
        for mass, own in zip(self.x, self.moves, strict=True):
            best = max(row[target] - price * each for target, each in own)
            equal = [(sign * each, target) for target, each in own if best - row[target] + price * each <= GAP**2]
            each, target = min(equal)
            point[target] += mass
            cost += mass * sign * each
        return point, cost


def _kinks(row: Numbers, own: Sequence[tuple[int, Decimal]]) -> Numbers:
    """Prices at which one move of a pixel is worth as much as another."""
    found = [(row[a] - row[b]) / (c - d) for a, c in own for b, d in own if c > d]
    return [kink for kink in found if kink > 0]


@dataclass
class _Mixture:
    """Points with weights that add up to 1, such that no mixture of them is nearer to 0."""

    points: list[Numbers] = field(default_factory=list)
    weights: Numbers = field(default_factory=list)

    def point(self) -> Numbers:
        columns = zip(*self.points, strict=True)
        return [sum((a * b for a, b in zip(self.weights, one, strict=True)), Decimal(0)) for one in columns]

    def add(self, point: Numbers) -> None:
        self.points.append(point)
        self.weights.append(Decimal(0 if self.weights else 1))
        while True:
            best = _nearest_affine(self.points)
            stops = [old / (old - new) for old, new in zip(self.weights, best, strict=True) if new < GAP**2]
            step = min(stops, default=Decimal(1))
            self.weights = [old + step * (new - old) for old, new in zip(self.weights, best, strict=True)]
            kept = [place for place, weight in enumerate(self.weights) if weight > GAP**2]
            self.points, self.weights = [self.points[k] for k in kept], [self.weights[k] for k in kept]
            if not stops:
                return


def _nearest_affine(points: list[Numbers]) -> Numbers:
    """Weights, which add up to 1, of the combination of points that is nearest to 0: G u = 1, scaled."""
    rows = [[1 + _inner(a, b) for b in points] + [Decimal(1)] for a in points]
    for place in range(len(rows)):
        pivot = max(range(place, len(rows)), key=lambda other: abs(rows[other][place]))
        rows[place], rows[pivot] = rows[pivot], rows[place]
        rows[place] = [value / rows[place][place] for value in rows[place]]
        for other in range(len(rows)):
            if other != place:
                factor = rows[other][place]
                rows[other] = [a - factor * b for a, b in zip(rows[other], rows[place], strict=True)]
    total = sum((row[-1] for row in rows), Decimal(0))
    return [row[-1] / total for row in rows]


def _inner(one: Numbers, other: Numbers) -> Decimal:
    return sum((a * b for a, b in zip(one, other, strict=True)), Decimal(0))


def _numbers(values: Sequence[float]) -> Numbers:
    return [Decimal(value) for value in values]
