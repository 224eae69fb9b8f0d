"""Random windows on the last axes of samples, and hills in them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Windows:
    """A square on the last two axes of each sample, or an interval if it has one axis.

    inside: where it is, bool `[N, *shape]`. places: by axis, how far an entry lies behind the window's beginning, with
    as many axes as the samples. sides: the window's extents. turned: whether hills lie side by side along the last axis
    rather than the one before, bool `[N]`.
    """

    inside: Tensor
    places: list[Tensor]
    sides: list[int]
    turned: Tensor

    @staticmethod
    def drawn(points: Tensor, share: float, generator: torch.Generator) -> Windows:
        """One window for each of the points `[N, *shape]`, which covers a share of the last two axes' entries."""
        spatial = min(2, points.dim() - 1)
        inside = torch.ones_like(points, dtype=torch.bool)
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
        draws = torch.rand(points.shape[0], generator=generator, dtype=torch.float32, device=points.device)
        return Windows(inside, places, sides, draws < 0.5)

    def hills(self, dtype: torch.dtype) -> Tensor:
        """A light hill beside a dark one in each window, `[N, *shape]`, 0 outside; 1 where a sample is a number.

        Edges between light and dark move outputs of convolutions further than even windows do (Andriushchenko et al.,
        2020).
        """
        if not self.places:
            return self.inside.to(dtype)
        heights = _hills(self.places, self.sides, len(self.places) - 1)
        if len(self.places) == 2:
            turned = self.turned.reshape(-1, *[1] * (self.inside.dim() - 1))
            heights = torch.where(turned, heights, _hills(self.places, self.sides, 0))
        return torch.where(self.inside, heights, 0.0).to(dtype)


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
