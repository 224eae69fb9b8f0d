"""Planes below a product of two scalars over a box (McCormick, *Mathematical Programming* 10, 1976).

With centres p, q and radii r, s of x and y, and any τ in [-1, 1],

    x·y ≥ (q + τs)·x + (p + τr)·y - (pq + rs + τ(ps + rq)):

the mixtures of the plane at the lowest corner (τ = -1) and the one at the highest (τ = 1). All have one value at the
centre, pq - rs, and their least value over the box is lower by |p + τr|·s + |q + τs|·r.
"""

from __future__ import annotations

import torch
from torch import Tensor


def best_tilt(centre: Tensor, radius: Tensor, other_centre: Tensor, other_radius: Tensor) -> Tensor:
    """The τ of the plane with the best least value: any between -p/r and -q/s, both cut to [-1, 1]; their mean.

    Args:
        centre: p, of any shape.
        radius: r, not negative.
        other_centre: q.
        other_radius: s.

    Example:
        >>> import torch
        >>> from autodual.dual.product_planes import best_tilt
        >>> one = torch.tensor([1.0])
        >>> best_tilt(2 * one, one, 0 * one, one)  # x in [1, 3], y in [-1, 1]
        tensor([-0.5000])
    """
    return -(_position(centre, radius) + _position(other_centre, other_radius)) / 2


def lowest_tilt(centre: Tensor, radius: Tensor, other_centre: Tensor, other_radius: Tensor) -> Tensor:
    """The τ nearest to -1 among those of the planes with the best least value.

    Such a plane touches the product wherever one of the two is at its lower end, as far as that costs nothing. For
    attention, where many products share their factors, rows through these are tighter than through the mean.

    Args:
        centre: p, of any shape.
        radius: r, not negative.
        other_centre: q.
        other_radius: s.

    Example:
        >>> import torch
        >>> from autodual.dual.product_planes import lowest_tilt
        >>> one = torch.tensor([1.0])
        >>> lowest_tilt(2 * one, one, 0 * one, one)  # x in [1, 3], y in [-1, 1]
        tensor([-1.])
    """
    return -_position(centre, radius).maximum(_position(other_centre, other_radius))


def _position(centre: Tensor, radius: Tensor) -> Tensor:
    """p/r cut to [-1, 1]; NaN where p is."""
    inside = centre.abs() < radius
    return torch.where(inside, centre / torch.where(inside, radius, 1.0), centre.sign() + 0.0 * centre)
