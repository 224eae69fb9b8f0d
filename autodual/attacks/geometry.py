"""The ball that a set was before it was cut down to a domain: in its units steps and starts are written down."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from autodual.perturbations import NormBall, Searchable


def radius_of(region: Searchable) -> Tensor:
    """The radius, to be multiplied with points `[N, *shape]`: of a ball its own, of others their largest half-width."""
    ball = region.source
    if isinstance(ball, NormBall):
        return torch.as_tensor(ball.radius).to(region.centre)
    widths = region.direction(torch.ones_like(region.centre)).abs()
    return region.per_feature(widths.flatten(1).amax(1))


def order_of(region: Searchable) -> float | None:
    """The order of the norm whose ball the set is, or None if it is another set."""
    return region.source.order if isinstance(region.source, NormBall) else None


def uncut_direction(region: Searchable, gradient: Tensor) -> Tensor:
    """Steepest ascent as far as the radius. Unlike `region.direction`, an l∞ ball's is the same near a domain's end."""
    if order_of(region) == math.inf:
        return radius_of(region) * gradient.sign()
    return region.direction(gradient)


def per_sample_norm(values: Tensor, order: float) -> Tensor:
    """The norm of each sample's values `[N, *shape]`, as `[N, 1, …]`; 1 where it is zero."""
    length = torch.linalg.vector_norm(values.flatten(1), order, dim=1).reshape(-1, *[1] * (values.dim() - 1))
    return torch.where(length == 0, 1, length)
