"""The thesis' residual networks: four blocks of 16, 16, 32 and 64 filters, then a hidden layer of 1,000 units."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions, added to the input, or to a 1×1 convolution of it if the sizes differ."""

    def __init__(self, inputs: int, filters: int, stride: int, batch_norm: bool) -> None:
        super().__init__()
        self.first = _convolution(inputs, filters, 3, stride, batch_norm)
        self.second = _convolution(filters, filters, 3, 1, batch_norm)
        same = inputs == filters and stride == 1
        self.shortcut: nn.Module = nn.Identity() if same else _convolution(inputs, filters, 1, stride, batch_norm)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.second(self.relu(self.first(x))) + self.shortcut(x))


def _convolution(inputs: int, filters: int, size: int, stride: int, batch_norm: bool) -> nn.Module:
    convolution = nn.Conv2d(inputs, filters, size, stride, size // 2)
    return nn.Sequential(convolution, nn.BatchNorm2d(filters)) if batch_norm else convolution


def residual(shape: Sequence[int], classes: int, *, batch_norm: bool) -> nn.Sequential:
    """The residual network for inputs `[channels, height, width]`."""
    channels, height, width = shape
    layers: list[nn.Module] = []
    for filters, stride in ((16, 1), (16, 1), (32, 2), (64, 2)):
        layers.append(ResidualBlock(channels, filters, stride, batch_norm))
        channels, height, width = filters, -(-height // stride), -(-width // stride)
    hidden = [nn.Linear(channels * height * width, 1000), nn.ReLU(), nn.Linear(1000, classes)]
    return nn.Sequential(*layers, nn.Flatten(), *hidden)
