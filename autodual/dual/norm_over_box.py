"""The norm that a vector is divided by, over bounds of the vector: its range, and planes below and above it."""

from __future__ import annotations

import math
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
    """d(x) = max(√(share·Σx² + inside), floor) + outside over bounds of x `[N, *shape]`, which is convex and rises with
    every |x|.

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

    def root(self, squares: Tensor) -> Tensor:
        """max(√(share·`squares` + inside), floor), with a gradient of 0 where it is 0."""
        inside = self.op.share * squares + self.op.inside
        root = torch.where(inside > 0, torch.where(inside > 0, inside, 1.0).sqrt(), inside)
        return root.clamp(min=self.op.floor)

    @property
    def _smallest(self) -> float:
        """Below this size a norm has lost digits: its squares are near the least number of its dtype."""
        limits = torch.finfo(self.x.lower.dtype)
        return math.sqrt(max(self.op.share, 1.0) * limits.tiny / limits.eps)

    @cached_property
    def nearest(self) -> Tensor:
        """The least |x|."""
        return self.x.lower.clamp(min=0) - self.x.upper.clamp(max=0)

    @cached_property
    def least(self) -> Tensor:
        """The least d; 0, as if nothing were known, where squares may be too small for a float, or too large."""
        found = (self.root(self.sum(self.nearest.square())) + self.op.outside).maximum(self.d.lower)
        return torch.where((found < self._smallest) | found.isposinf(), torch.zeros_like(found), found)

    @cached_property
    def reach(self) -> Tensor:
        """The greatest d as far as bounds of x say."""
        return self.root(self.sum(self.x.magnitude.square())) + self.op.outside

    @cached_property
    def greatest(self) -> Tensor:
        """The greatest d."""
        return self.reach.minimum(self.d.upper)

    @cached_property
    def _middle_root(self) -> Tensor:
        return self.root(self.sum(self.x.centre.square()))

    @cached_property
    def middle(self) -> Tensor:
        """d at the centre."""
        return self._middle_root + self.op.outside

    @cached_property
    def below(self) -> Plane:
        """The tangent at the centre; where the root is below the floor there, or too small to divide by, its least."""
        size, centre = self._middle_root, self.x.centre
        curved = size > max(self.op.floor, self._smallest)
        flat = self.root(torch.zeros_like(size)) + 0.0 * size
        steep = torch.where(curved, size, 1.0)
        slope = torch.where(curved, self.op.share * centre / steep, 0.0 * centre)
        return Plane(slope, torch.where(curved, self.op.inside / steep, flat) + self.op.outside)

    @cached_property
    def above(self) -> Plane:
        """For the root (R + S/R)/2 with R the greatest and S the chords of the squares, which is at least R/2."""
        greatest, (low, high) = self.greatest - self.op.outside, (self.x.lower, self.x.upper)
        curved = greatest > 2 * self.op.floor
        twice = torch.where(curved, 2 * greatest, 1.0)
        slope = torch.where(curved, self.op.share * (low + high) / twice, 0.0 * low)
        chords = self.op.inside - self.op.share * self.sum(low * high)
        return Plane(slope, torch.where(curved, greatest / 2 + chords / twice, greatest) + self.op.outside)

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
        smaller, larger = self._others(self.nearest.square()), self._others(self.x.magnitude.square())
        most = 1 / math.sqrt(self.op.share)
        below, above = self.x.lower < 0, self.x.upper > 0
        return Interval(
            self._quotient(self.x.lower, torch.where(below, smaller, larger), torch.where(below, -most, 0.0)),
            self._quotient(self.x.upper, torch.where(above, smaller, larger), torch.where(above, most, 0.0)),
        )

    def _quotient(self, x: Tensor, rest: Tensor, lost: Tensor) -> Tensor:
        """x over d, where all other entries have this sum of squares; 0/0 is taken for 0. lost: where squares are too
        large for a float.
        """
        size = self.root(x.square() + rest) + self.op.outside
        positive = size > 0
        found = torch.where(positive, x / torch.where(positive, size, 1.0), 0.0 * x + 0.0 * rest)
        return torch.where(size.isposinf(), lost + 0.0 * x, found)

    def _others(self, squares: Tensor) -> Tensor:
        """Σ of all other entries along the axes."""
        last = tuple(range(-len(self.axes), 0))
        moved = squares.movedim(self.axes, last)
        whole = moved.flatten(-len(self.axes))
        return others(whole, whole.dim() - 1).reshape(moved.shape).movedim(last, self.axes)
