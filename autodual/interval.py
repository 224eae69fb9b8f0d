"""An elementwise interval [lower, upper] of a tensor."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from autodual.tensors import is_shared


@dataclass(frozen=True)
class Interval:
    """Elementwise bounds.

    Args:
        lower: the lower ends, a tensor of any shape.
        upper: the upper ends, of the same shape, dtype and device.

    Example:
        >>> import torch
        >>> from autodual.interval import Interval
        >>> z = Interval(torch.tensor([-1.0, 0.0]), torch.tensor([3.0, 1.0]))
        >>> z.centre, z.radius, z.magnitude
        (tensor([1.0000, 0.5000]), tensor([2.0000, 0.5000]), tensor([3., 1.]))
        >>> z.map(torch.relu).lower
        tensor([0., 0.])
    """

    lower: Tensor
    upper: Tensor

    @classmethod
    def around(cls, centre: Tensor, radius: Tensor) -> Interval:
        """The interval [`centre` - `radius`, `centre` + `radius`], of tensors that broadcast."""
        return cls(centre - radius, centre + radius).made_of(centre, radius)

    def made_of(self, centre: Tensor, radius: Tensor) -> Interval:
        """The same interval; it keeps `centre` and `radius` if all samples share the radius.

        Later layers then compute with the `shared` radius only once. Other radii are not kept, as few are ever read.
        """
        samples = self.lower.shape[0] if self.lower.dim() else 1
        if samples > 1 and (radius.dim() < self.lower.dim() or radius.shape[0] == 1 or is_shared(radius)):
            whole = centre if centre.shape == self.lower.shape else centre.expand_as(self.lower)
            vars(self).update(centre=whole, radius=radius.expand_as(self.lower))
        return self

    @property
    def alike(self) -> bool:
        """Whether all samples are known to have the same radius."""
        radius = vars(self).get("radius")
        return radius is not None and is_shared(radius)

    @cached_property
    def centre(self) -> Tensor:
        """The middle, elementwise."""
        return (self.lower + self.upper) / 2

    @cached_property
    def radius(self) -> Tensor:
        """Half the width, elementwise."""
        return (self.upper - self.lower) / 2

    @property
    def magnitude(self) -> Tensor:
        """max |z| over the interval, elementwise."""
        return self.lower.abs().maximum(self.upper.abs())

    @property
    def shape(self):
        """The shape of either end."""
        return self.lower.shape

    def map(self, function) -> Interval:
        """Apply `function` to both ends: for non-decreasing functions that act elementwise, or that move elements."""
        return Interval(function(self.lower), function(self.upper))

    def intersect(self, other: Interval) -> Interval:
        """The elementwise intersection with an `other` interval, which must enclose the same value."""
        return Interval(self.lower.maximum(other.lower), self.upper.minimum(other.upper))

    def tightened(self, other: Interval) -> Interval:
        """`intersect` with `other`, but a NaN end is ignored, and ends that cross by rounding are swapped."""
        lower, upper = self.lower.fmax(other.lower), self.upper.fmin(other.upper)
        return Interval(lower.minimum(upper), lower.maximum(upper))

    def within(self, least: float, greatest: float) -> Interval:
        """The interval cut to [`least`, `greatest`], rounded outwards, which also encloses the value; NaN stays NaN."""
        low, high = -_not_below(-least, self.lower.dtype), _not_below(greatest, self.lower.dtype)
        return Interval(self.lower.clamp(low, high), self.upper.clamp(low, high))

    def widen(self, amount: Tensor | float) -> Interval:
        """Both ends moved outwards by `amount`, which broadcasts to them."""
        return Interval(self.lower - amount, self.upper + amount)


def _not_below(value: float, dtype: torch.dtype) -> float:
    """A number of this dtype that is not below `value`: the nearest one, or the next above it."""
    near = torch.tensor(value, dtype=dtype)
    return float(near if float(near) >= value else near.nextafter(torch.full_like(near, torch.inf)))
