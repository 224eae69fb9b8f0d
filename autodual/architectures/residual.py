"""Residual networks of four blocks of 16, 16, 32 and 64 filters, then a hidden layer of 1,000 units.

`residual` is the thesis' one. `residual_with_identities` is what autodual called by that name at first.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from autodual.architectures.convolutional import convolutional

_BLOCKS = ((16, 1), (16, 1), (32, 2), (64, 2))  # filters and stride of each


class ResidualBlock(nn.Module):
    """Two layers, added to a shortcut around both; a ReLU follows the first layer and the sum."""

    def __init__(self, first: nn.Module, second: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.first, self.second, self.shortcut = first, second, shortcut
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.second(self.relu(self.first(x))) + self.shortcut(x))


def residual(shape: Sequence[int], classes: int, *, batch_norm: bool) -> nn.Sequential:
    """The network of the thesis' section 3.5 for inputs `[channels, height, width]`.

    The text names the blocks alone. That a convolution comes before them, that all shortcuts are convolutions, and
    which kernels they have follows from the printed numbers of units and parameters (Table 3.4).
    """
    channels, height, width = shape
    layers: list[nn.Module] = [_convolution(channels, 16, 3, 1, 1, batch_norm), nn.ReLU()]
    channels = 16
    for filters, stride in _BLOCKS:
        first = _convolution(channels, filters, stride + 2, stride, 1, batch_norm)  # 3×3, or 4×4 with stride 2
        second = _convolution(filters, filters, 3, 1, 1, batch_norm)
        layers.append(ResidualBlock(first, second, _convolution(channels, filters, stride, stride, 0, batch_norm)))
        channels, height, width = filters, height // stride, width // stride
    return nn.Sequential(*layers, *convolutional((channels, height, width), classes, [], [1000], batch_norm=batch_norm))


def residual_with_identities(shape: Sequence[int], classes: int, *, batch_norm: bool) -> nn.Sequential:
    """Four blocks without a convolution before them, whose shortcut is the identity where sizes agree.

    No batch norm follows the hidden layer.
    """
    channels, height, width = shape
    layers: list[nn.Module] = []
    for filters, stride in _BLOCKS:
        first = _convolution(channels, filters, 3, stride, 1, batch_norm)
        second = _convolution(filters, filters, 3, 1, 1, batch_norm)
        same = channels == filters and stride == 1
        shortcut = nn.Identity() if same else _convolution(channels, filters, 1, stride, 0, batch_norm)
        layers.append(ResidualBlock(first, second, shortcut))
        channels, height, width = filters, -(-height // stride), -(-width // stride)
    return nn.Sequential(*layers, *convolutional((channels, height, width), classes, [], [1000], batch_norm=False))


def _convolution(
    inputs: int, filters: int, size: int, stride: int, padding: int, batch_norm: bool
) -> nn.Conv2d | nn.Sequential:
    convolution = nn.Conv2d(inputs, filters, size, stride, padding)
    return nn.Sequential(convolution, nn.BatchNorm2d(filters)) if batch_norm else convolution
