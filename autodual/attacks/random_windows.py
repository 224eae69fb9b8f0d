"""Random windows on the last axes of samples, and hills in them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Windows:
    """A square on the last two axes of each sample, or an interval if it has one axis.

    inside: where it is, bool `[N, *shape]`. hills: a light hill beside a dark one, `[N, *shape]`, 0 outside. Their
    sides lie along the last axis or the one before, as chance has it. Edges between light and dark move outputs of
    convolutions further than even windows do (Andriushchenko et al., 2020).
    """

    inside: Tensor
    hills: Tensor

    @staticmethod
    def drawn(points: Tensor, share: float, generator: torch.Generator) -> Windows:
        """One window for each of the points `[N, *shape]`, which covers a share of the last two axes' entries."""
        spatial = min(2, points.dim() - 1)
        inside, heights = torch.ones_like(points, dtype=torch.bool), torch.zeros_like(points)
        if spatial == 0:  # a sample is a number
            return Windows(inside, torch.ones_like(points))
        places, sides = [], []
        for axis in range(points.dim() - spatial, points.dim()):
            extent = points.shape[axis]
            side = min(extent, max(1, round(extent * share ** (1 / spatial))))
            draws = torch.rand(points.shape[0], generator=generator, dtype=torch.float32, device=points.device)
            first = (draws * (extent - side + 1)).floor()
            place = torch.arange(extent, device=points.device) - first[:, None]
            shape = [points.shape[0]] + [1] * (points.dim() - 1)
            shape[axis] = extent
            places.append(place.reshape(shape))
            sides.append(side)
            inside = inside & (places[-1] >= 0) & (places[-1] < side)
        turned = torch.rand(points.shape[0], generator=generator, dtype=torch.float32, device=points.device) < 0.5
        turned = turned.reshape(-1, *[1] * (points.dim() - 1)) | (spatial == 1)
        for split, choice in ((0, ~turned), (spatial - 1, turned)):
            found = _hills(places, sides, split).to(points.dtype)
            heights = torch.where(choice, found, heights)
        return Windows(inside, heights * inside)


def _hills(places: list[Tensor], sides: list[int], split: int) -> Tensor:
    """Two hills beside one another along one axis, of opposite signs; along the others they are as wide as the window.

    Places are counted from the window's beginning. The height at a distance d from the middle is the sum of 1/(k + 1)²
    over k from d to the distance of the edge.
    """
    half = sides[split] // 2
    second = places[split] >= half
    distance, farthest = torch.zeros((), device=second.device), 0
    for axis, (place, side) in enumerate(zip(places, sides, strict=True)):
        if axis == split:
            place = torch.where(second, place - half - (side - half) // 2, place - half // 2)
            side = side - half
        else:
            place = place - side // 2
        distance = torch.maximum(distance, place.abs())
        farthest = max(farthest, side // 2)
    steps = 1 / torch.arange(1.0, farthest + 2, device=second.device) ** 2
    heights = steps.flip(0).cumsum(0).flip(0)
    found = heights[distance.clamp(max=farthest).long()]
    return torch.where(second, -found, found)
