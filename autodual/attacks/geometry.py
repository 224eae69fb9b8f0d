"""Directions and lengths of steps, factor by factor where the set is a product."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from autodual.perturbations import Searchable, Support
from autodual.tensors import flat


def uncut_direction(region: Searchable, gradient: Tensor) -> Tensor:
    """Steepest ascent as far as the radius. Unlike `region.direction`, an l∞ ball's is the same near a domain's end."""
    return region.each(_uncut_direction, gradient)


def _uncut_direction(factor: Searchable, gradient: Tensor) -> Tensor:
    return factor.radii * gradient.sign() if factor.norm_order == math.inf else factor.direction(gradient)


def per_sample_norm(values: Tensor, order: float) -> Tensor:
    """The norm of each sample's values `[N, *shape]`, as `[N, 1, …]`; 1 where it is zero."""
    features = tuple(range(1, values.dim()))
    length = torch.linalg.vector_norm(values, order, features, keepdim=True) if features else values.abs()
    return length.masked_fill_(length == 0, 1)


def largest_features(region: Searchable, gradient: Tensor, points: Tensor, count: Tensor) -> Tensor:
    """±1 / k on the k features of largest |gradient| that can still move that way, else 0.

    Args:
        region: the set, placed around N samples.
        gradient: `[N, *shape]`.
        points: where features are, `[N, *shape]`.
        count: k of each sample, `[N]`, at least 1 and at most all features once rounded down.
    """
    free = flat(_free(region, gradient, points))
    count = count.floor().clamp(1, free.shape[1]).unsqueeze(1)
    largest = free.abs().topk(int(count.max()), 1).indices
    rank = torch.arange(largest.shape[1], device=free.device)
    chosen = torch.zeros_like(free).scatter(1, largest, ((rank < count) / count).to(free))
    return (chosen * free.sign()).reshape(gradient.shape)


def _free(region: Searchable, gradient: Tensor, points: Tensor) -> Tensor:
    """The gradient, but 0 at features that are at the end of the set's enclosure to which it points."""
    if not isinstance(region, Support):
        return gradient
    ends, side = region.enclosure(), gradient.sign()
    moved = torch.clamp(points + side, ends.lower, ends.upper) - points
    return gradient * (moved * side).sign_()
