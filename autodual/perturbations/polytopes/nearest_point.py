"""Points moved into a box cut by half-spaces: to the nearest ones, as Dykstra's projections in turn approach them."""

from __future__ import annotations

import torch
from torch import Tensor

from autodual.perturbations.polytopes.sides import Sides

_TURNS = 12
# Of a box's reach across a half-space, the shares that an anchor tries to keep clear of it.
_CLEAR = (0.25, 0.05, 0.01, 1e-3, 0.0)
_ANCHOR_TURNS = 100


def nearest(points: Tensor, lower: Tensor, upper: Tensor, sides: Sides, anchor: Tensor) -> Tensor:
    """Points of the sets close to `points` `[*, N, D]`, and no others where these are inside.

    Where a set is so thin that its anchor lies outside, so may these.

    anchor `[N, D]`: a point of each set; what is left outside after some turns is moved towards it.
    """
    inside = ((points >= lower) & (points <= upper)).all(-1) & sides.contain(points)
    found = _dykstra(points, lower, upper, sides)
    excess = sides.excess(found)
    room = (-sides.excess(anchor)).clamp(min=0)
    share = torch.where(excess > 0, excess / (excess + room), 0.0).nan_to_num(1.0).amax(-1, keepdim=True)
    found = (found + share * (anchor - found)).clamp(lower, upper)
    found = torch.where(sides.contain(found).unsqueeze(-1), found, anchor)
    return torch.where(inside.unsqueeze(-1), points, found)


def anchors(lower: Tensor, upper: Tensor, sides: Sides) -> Tensor:
    """A point `[N, D]` of each set, as clear of the half-spaces as one of a few shares of the box allows."""
    middle, half = (lower + upper) / 2, (upper - lower) / 2
    reach = (sides.matrix.abs() * half.unsqueeze(1)).sum(2)
    found, missing = middle, torch.ones(len(middle), dtype=torch.bool, device=middle.device)
    point = middle
    for clear in _CLEAR:
        inner = Sides(sides.matrix, sides.bound - clear * reach, sides.slack)
        point = _by_turns(middle, lower, upper, inner)
        here = missing & inner.contain(point)
        found = torch.where(here.unsqueeze(1), point, found)
        missing = missing & ~here
        if not missing.any():
            break
    return torch.where(missing.unsqueeze(1), point, found)


def _by_turns(point: Tensor, lower: Tensor, upper: Tensor, sides: Sides) -> Tensor:
    """Where projections onto the half-spaces and the box in turn have come to, until all of them hold."""
    for _ in range(_ANCHOR_TURNS):
        for place in range(sides.count):
            point = _beside(point, sides, place).clamp(lower, upper)
        if sides.contain(point).all():
            break
    return point


def _dykstra(points: Tensor, lower: Tensor, upper: Tensor, sides: Sides) -> Tensor:
    found = points.clamp(lower, upper)
    owed = [torch.zeros_like(points) for _ in range(sides.count)]
    owed_box = points - found
    for _ in range(_TURNS):
        for place in range(sides.count):
            start = found + owed[place]
            found = _beside(start, sides, place)
            owed[place] = start - found
        start = found + owed_box
        found = start.clamp(lower, upper)
        owed_box = start - found
    return found


def _beside(points: Tensor, sides: Sides, place: int) -> Tensor:
    """The nearest points of one half-space."""
    row = sides.matrix[:, place]
    excess = ((points * row).sum(-1, keepdim=True) - sides.bound[:, place].unsqueeze(1)).clamp(min=0)
    length = row.square().sum(1, keepdim=True)
    return points - torch.where(length > 0, excess / torch.where(length > 0, length, 1.0), 0.0) * row
