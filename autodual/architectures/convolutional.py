"""Convolutional networks of the thesis' experiments, for inputs `[channels, height, width]` of any size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class Convolution:
    """A convolution, and max-pooling over windows of `pool` by `pool` after it where that is more than 1."""

    filters: int
    size: int = 4
    stride: int = 2
    padding: int = 1
    pool: int = 1


def convolutional(
    shape: Sequence[int], classes: int, convolutions: Sequence[Convolution], hidden: Sequence[int], *, batch_norm: bool
) -> nn.Sequential:
    """Convolutions, then fully connected layers, each followed by a ReLU, with batch norm in between if requested."""
    return nn.Sequential(*_layers(shape, classes, convolutions, hidden, batch_norm))


def _layers(
    shape: Sequence[int], classes: int, convolutions: Sequence[Convolution], hidden: Sequence[int], batch_norm: bool
) -> Iterator[nn.Module]:
    channels, *sides = shape
    for layer in convolutions:
        yield nn.Conv2d(channels, layer.filters, layer.size, layer.stride, layer.padding)
        if batch_norm:
            yield nn.BatchNorm2d(layer.filters)
        if layer.pool > 1:
            yield nn.MaxPool2d(layer.pool)
        yield nn.ReLU()
        channels = layer.filters
        sides = [((side + 2 * layer.padding - layer.size) // layer.stride + 1) // layer.pool for side in sides]
    yield nn.Flatten()
    features = channels
    for side in sides:
        features *= side
    for units in hidden:
        yield nn.Linear(features, units)
        if batch_norm:
            yield nn.BatchNorm1d(units)
        yield nn.ReLU()
        features = units
    yield nn.Linear(features, classes)
