"""Residual networks whose batch norms and ReLUs come before the convolutions (He et al., 2016b).

Chapters 4 and 5 of the thesis train them: PreAct-ResNet18, and Wide ResNets (Zagoruyko and Komodakis, 2016).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn


class PreactivatedBlock(nn.Module):
    """Two 3×3 convolutions behind a batch norm and a ReLU each, added to the input.

    Where sizes differ, a 1×1 convolution of the normalised input is added in its place.
    """

    def __init__(self, inputs: int, filters: int, stride: int) -> None:
        super().__init__()
        self.before_first, self.first = _activation(inputs), _convolution(inputs, filters, 3, stride)
        self.before_second, self.second = _activation(filters), _convolution(filters, filters, 3, 1)
        same = inputs == filters and stride == 1
        self.shortcut = None if same else _convolution(inputs, filters, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        normalised = self.before_first(x)
        kept = x if self.shortcut is None else self.shortcut(normalised)
        return self.second(self.before_second(self.first(normalised))) + kept


def preactivated(shape: Sequence[int], classes: int, filters: Sequence[int], blocks: int) -> nn.Sequential:
    """A network for images `[channels, height, width]` of any size.

    filters: of the first convolution, then of each group of `blocks` blocks; from the second group on, each halves
    height and width.
    """
    layers: list[nn.Module] = [_convolution(shape[0], filters[0], 3, 1)]
    for group, (inputs, outputs) in enumerate(pairwise(filters)):
        layers.append(PreactivatedBlock(inputs, outputs, 1 if group == 0 else 2))
        layers.extend(PreactivatedBlock(outputs, outputs, 1) for _ in range(blocks - 1))
    end = [_activation(filters[-1]), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(filters[-1], classes)]
    return nn.Sequential(*layers, *end)


def _activation(channels: int) -> nn.Module:
    return nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU())


def _convolution(inputs: int, filters: int, size: int, stride: int) -> nn.Module:
    return nn.Conv2d(inputs, filters, size, stride, size // 2, bias=False)
