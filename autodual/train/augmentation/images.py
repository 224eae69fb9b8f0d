"""Changes of images: mirroring, cropping after padding, and cutting out a square."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from torch import Tensor

from autodual.errors import DataError
from autodual.train.augmentation.base import ImageAugmentation
from autodual.train.limits import Count, Fraction


@dataclass(frozen=True)
class Flip(ImageAugmentation):
    """Each image is mirrored, left to right, with a probability."""

    probability: Fraction = 0.5

    def changed(self, x: Tensor) -> Tensor:
        mirrored = (torch.rand(len(x)) < self.probability).to(x.device)
        return torch.where(mirrored.view(-1, 1, 1, 1), x.flip(3), x)


@dataclass(frozen=True)
class Crop(ImageAugmentation):
    """Each image gets `padding` rows and columns of zeros on every side, and is cut to its size at a random place."""

    padding: Count = 4

    def check(self, shape: tuple[int, ...]) -> None:
        super().check(shape)
        if self.padding >= min(shape[1:]):
            raise DataError(f"a padding of {self.padding} moves images of {shape[1]}×{shape[2]} pixels out of sight.")

    def changed(self, x: Tensor) -> Tensor:
        count, channels, height, width = x.shape
        padded = functional.pad(x, (self.padding,) * 4)
        down, right = (torch.randint(2 * self.padding + 1, (count, 1)) for _ in range(2))
        rows = (down + torch.arange(height)).to(x.device)
        columns = (right + torch.arange(width)).to(x.device)
        samples, planes = (torch.arange(size, device=x.device) for size in (count, channels))
        return padded[
            samples[:, None, None, None], planes[:, None, None], rows[:, None, :, None], columns[:, None, None, :]
        ]


@dataclass(frozen=True)
class Cutout(ImageAugmentation):
    """A square of `side` pixels around a random pixel of each image becomes zero (DeVries and Taylor, 2017).

    The square is clipped at the borders.
    """

    side: Count = 14

    def changed(self, x: Tensor) -> Tensor:
        down, right = (self._line(len(x), extent) for extent in x.shape[2:])
        return x.masked_fill((down[:, None, :, None] & right[:, None, None, :]).to(x.device), 0)

    def _line(self, count: int, extent: int) -> Tensor:
        """Which places of an axis lie in each sample's square, bool `[count, extent]`."""
        first = torch.randint(extent, (count, 1)) - self.side // 2
        places = torch.arange(extent)
        return (places >= first) & (places < first + self.side)
