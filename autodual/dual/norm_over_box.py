"""The norm that a vector is divided by, over bounds of the vector: its range, and planes below and above it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from autodual.dual.sums import others
from autodual.interval import Interval
from autodual.ir import ops


@dataclass(frozen=True, eq=False)
class Plane:
    """slope·x + base: `[N, *shape]`, and with extent 1 along the axes of the sum."""

    slope: Tensor
    base: Tensor


@dataclass(frozen=True, eq=False)
class NormOverBox:
    """d(x) = max((share·Σ|x|ᵖ + inside)^(1/p), floor) + outside over bounds of x `[N, *shape]`, which is convex and
    rises with every |x|.

    d: bounds of it, with extent 1 along the axes, which may be tighter than what follows from those of x.
    """

    x: Interval
    d: Interval
    op: ops.DividedByNorm

    @property
    def axes(self) -> tuple[int, ...]:
        """Of a batch."""
        return tuple(axis + 1 for axis in self.op.axes)

    def sum(self, values: Tensor) -> Tensor:
        """Of `values`, along the axes, which stay with extent 1."""
        return values.sum(self.axes, keepdim=True)

    def norm_of(self, x: Tensor) -> Tensor:
        """d less what is added outside, at `x`."""
        return self.op.root(self.sum(self.op.powers(x)))

    @property
    def _smallest(self) -> float:
        """Below this size a norm has lost digits: its terms are near the least number of its dtype."""
        limits = torch.finfo(self.x.lower.dtype)
        return float((max(self.op.share, 1.0) * limits.tiny / limits.eps) ** (1 / self.op.order))

    @cached_property
    def nearest(self) -> Tensor:
        """The least |x|."""
        return self.x.lower.clamp(min=0) - self.x.upper.clamp(max=0)

    @cached_property
    def least(self) -> Tensor:
        """The least d; 0, as if nothing were known, where squares may be too small for a float, or too large."""
        found = (self.norm_of(self.nearest) + self.op.outside).maximum(self.d.lower)
        return torch.where((found < self._smallest) | found.isposinf(), torch.zeros_like(found), found)

    @cached_property
    def reach(self) -> Tensor:
        """The greatest d as far as bounds of x say."""
        return self.norm_of(self.x.magnitude) + self.op.outside

    @cached_property
    def greatest(self) -> Tensor:
        """The greatest d."""
        return self.reach.minimum(self.d.upper)

    @cached_property
    def _middle_root(self) -> Tensor:
        return self.norm_of(self.x.centre)

    @cached_property
    def middle(self) -> Tensor:
        """d at the centre."""
        return self._middle_root + self.op.outside

    @cached_property
    def below(self) -> Plane:
        """A plane below d: the tangent at the centre, or the least of d where the norm there is below the floor or too
        small to divide by; of order 1 a line below each size.
        """
        size = self._middle_root
        curved = size > max(self.op.floor, self._smallest)
        flat = self.op.root(torch.zeros_like(size)) + 0.0 * size
        if self.op.order == 1:
            # Any slope from -1 to 1 is below |x|; that of the chord where its sign is open.
            return Plane(self.op.share * self._chord.slope, self.op.inside + self.op.outside + 0.0 * size)
        steep = torch.where(curved, size, 1.0)
        slope = torch.where(curved, self.op.share * self.x.centre / steep, 0.0 * self.x.centre)
        return Plane(slope, torch.where(curved, self.op.inside / steep, flat) + self.op.outside)

    @cached_property
    def open_signs(self) -> Tensor:
        """Where an entry may be of either sign."""
        return (self.x.lower < 0) & (self.x.upper > 0)

    @cached_property
    def divisor(self) -> Tensor:
        """At most d, and at most the plane below it, where rows meet that plane as it is."""
        return self.least if self.op.order == 1 else self.least.minimum(self.ends(self.below).lower)

    @cached_property
    def _chord(self) -> Plane:
        """Of |x| over each entry's bounds: above it, through both ends."""
        low, high = self.x.lower, self.x.upper
        open_ = self.open_signs
        width = torch.where(open_, high - low, 1.0)
        sign = torch.where(low >= 0, 1.0, -1.0).to(low.dtype) + 0.0 * (low + high)
        slope = torch.where(open_, (low + high) / width, sign)
        return Plane(slope, torch.where(open_, -2 * low * high / width, 0.0 * low))

    @cached_property
    def above(self) -> Plane:
        """A plane above d. A root r ≤ R is at most (R + r²/R)/2, and r² is at most the sum S of the squares' chords: so
        (R + S/R)/2, which is at least R/2, and so above a floor of at most that. Of order 1 the chords of the sizes,
        raised by what the floor may be above them.
        """
        op, greatest, (low, high) = self.op, self.greatest - self.op.outside, (self.x.lower, self.x.upper)
        if op.order == 1:
            least = op.share * self.sum(self.nearest) + op.inside
            base = op.share * self.sum(self._chord.base) + op.inside + (op.floor - least).clamp(min=0)
            return Plane(op.share * self._chord.slope, base + op.outside)
        curved = greatest > 2 * op.floor
        twice = torch.where(curved, 2 * greatest, 1.0)
        slope = torch.where(curved, op.share * (low + high) / twice, 0.0 * low)
        chords = op.inside - op.share * self.sum(low * high)
        return Plane(slope, torch.where(curved, greatest / 2 + chords / twice, greatest) + op.outside)

    def ends(self, plane: Plane) -> Interval:
        """The least and the greatest value of a `plane` over the box."""
        middle = self.sum(plane.slope * self.x.centre) + plane.base
        reach = self.sum(plane.slope.abs() * self.x.radius)
        return Interval(middle - reach, middle + reach)

    @cached_property
    def known(self) -> Tensor:
        """Zeros with extent 1 along the axes; NaN where any bound is."""
        return 0.0 * self.sum(self.x.lower + self.x.upper) + 0.0 * (self.d.lower + self.d.upper)

    @property
    def apart(self) -> Interval:
        """The range of x/d if they were not tied; infinite where d may be 0."""
        low, high = self.x.lower, self.x.upper
        divisor = torch.where(self.least > 0, self.least, 1.0), torch.where(self.least > 0, self.greatest, 1.0)
        lost = torch.where(self.least > 0, 0.0, torch.inf) + self.known
        smallest = low / torch.where(low < 0, *divisor)
        largest = high / torch.where(high > 0, *divisor)
        return Interval(smallest - lost, largest + lost)

    @cached_property
    def quotients(self) -> Interval:
        """The range of x/d, exact: an entry rises with itself, and is the nearer to zero the larger the others are."""
        smaller, larger = (self._others(self.op.powers(x)) for x in (self.nearest, self.x.magnitude))
        most = self.op.most
        below, above = self.x.lower < 0, self.x.upper > 0
        return Interval(
            self._quotient(self.x.lower, torch.where(below, smaller, larger), torch.where(below, -most, 0.0)),
            self._quotient(self.x.upper, torch.where(above, smaller, larger), torch.where(above, most, 0.0)),
        )

    def _quotient(self, x: Tensor, rest: Tensor, lost: Tensor) -> Tensor:
        """x over d, where all other entries' powers have this sum; 0/0 is taken for 0. lost: where powers are too large
        for a float.
        """
        size = self.op.root(self.op.powers(x) + rest) + self.op.outside
        positive = size > 0
        found = torch.where(positive, x / torch.where(positive, size, 1.0), 0.0 * x + 0.0 * rest)
        return torch.where(size.isposinf(), lost + 0.0 * x, found)

    def _others(self, powers: Tensor) -> Tensor:
        """Σ of all other entries along the axes."""
        last = tuple(range(-len(self.axes), 0))
        moved = powers.movedim(self.axes, last)
        whole = moved.flatten(-len(self.axes))
        return others(whole, whole.dim() - 1).reshape(moved.shape).movedim(last, self.axes)
