"""The architectures, by the names that recipes, descriptions and the command line have for them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import nn

from autodual.architectures.convolutional import Convolution, convolutional
from autodual.architectures.preactivated import preactivated
from autodual.architectures.residual import residual, residual_with_identities
from autodual.errors import InvalidInputError

#: From a sample's shape, the number of classes, whether there is batch norm, and the numbers in the name.
Build = Callable[..., nn.Module]

_MOST_UNITS = 100_000


@dataclass(frozen=True)
class Size:
    """A number in an architecture's name: `word` stands for it in the list of names.

    every: the distance between two sizes, counted from the least.
    """

    word: str
    least: int = 1
    most: int = _MOST_UNITS
    every: int = 1

    def holds(self, number: int) -> bool:
        """Whether a number is such a size."""
        return self.least <= number <= self.most and (number - self.least) % self.every == 0

    @property
    def range(self) -> str:
        """In words: which numbers are such sizes."""
        steps = "" if self.every == 1 else f" in steps of {self.every}"
        return f"from {self.least} to {self.most}{steps} for {self.word}"


@dataclass(frozen=True)
class Architecture:
    """How a network is built, and what it is in words.

    sizes: the numbers in its name, joined by dashes. images: whether it is for images only. example: of these numbers.
    """

    build: Build
    words: str
    sizes: tuple[Size, ...] = ()
    example: str = "2"
    images: bool = True

    def numbers(self, name: str, written: str) -> list[int]:
        """The numbers of a name, of which `written` is what follows the colon. Raises InvalidInputError for others."""
        if not self.sizes:
            return []
        parts = written.split("-")
        plain = len(parts) == len(self.sizes) and all(re.fullmatch(r"[0-9]{1,6}", part) for part in parts)
        if plain and all(size.holds(int(part)) for size, part in zip(self.sizes, parts)):
            return [int(part) for part in parts]
        ranges = " and ".join(size.range for size in self.sizes)
        what = "a whole number" if len(self.sizes) == 1 else "whole numbers"
        raise InvalidInputError(f"'{name[:40]}' needs {what} {ranges}, such as {name.partition(':')[0]}:{self.example}")


def _small(shape: Sequence[int], classes: int, batch_norm: bool) -> nn.Module:
    return convolutional(shape, classes, [Convolution(16), Convolution(32)], [100], batch_norm=batch_norm)


def _medium(shape: Sequence[int], classes: int, batch_norm: bool) -> nn.Module:
    layers = [Convolution(32, 3, 1), Convolution(32), Convolution(64)]
    return convolutional(shape, classes, layers, [128], batch_norm=batch_norm)


def _large(shape: Sequence[int], classes: int, batch_norm: bool) -> nn.Module:
    layers = [Convolution(32, 3, 1), Convolution(32), Convolution(64, 3, 1), Convolution(64)]
    return convolutional(shape, classes, layers, [512, 512], batch_norm=batch_norm)


def _resnet(shape: Sequence[int], classes: int, batch_norm: bool) -> nn.Module:
    return residual(shape, classes, batch_norm=batch_norm)


def _resnet_identity(shape: Sequence[int], classes: int, batch_norm: bool) -> nn.Module:
    return residual_with_identities(shape, classes, batch_norm=batch_norm)


def _pooling(shape: Sequence[int], classes: int, batch_norm: bool) -> nn.Module:
    layers = [Convolution(filters, 5, 1, padding=2, pool=2) for filters in (32, 64)]
    return convolutional(shape, classes, layers, [1024], batch_norm=batch_norm)


def _preact18(shape: Sequence[int], classes: int, _batch_norm: bool) -> nn.Module:
    return preactivated(shape, classes, [64, 64, 128, 256, 512], 2)


def _wide_resnet(shape: Sequence[int], classes: int, _batch_norm: bool, depth: int, width: int) -> nn.Module:
    return preactivated(shape, classes, [16, 16 * width, 32 * width, 64 * width], (depth - 4) // 6)


def _wide(shape: Sequence[int], classes: int, batch_norm: bool, size: int) -> nn.Module:
    return _two_convolutions(shape, classes, batch_norm, size, 128 * size)


def _wide_128(shape: Sequence[int], classes: int, batch_norm: bool, size: int) -> nn.Module:
    return _two_convolutions(shape, classes, batch_norm, size, 128)


def _two_convolutions(shape: Sequence[int], classes: int, batch_norm: bool, size: int, hidden: int) -> nn.Module:
    layers = [Convolution(4 * size), Convolution(8 * size)]
    return convolutional(shape, classes, layers, [hidden], batch_norm=batch_norm)


def _deep(shape: Sequence[int], classes: int, batch_norm: bool, size: int) -> nn.Module:
    more = size - 1
    first = [Convolution(8, 3, 1)] * more + [Convolution(8)]
    second = [Convolution(16, 3, 1)] * more + [Convolution(16)]
    return convolutional(shape, classes, [*first, *second], [100], batch_norm=batch_norm)


def _six_layer(shape: Sequence[int], classes: int, batch_norm: bool, size: int, hidden: int) -> nn.Module:
    layers = [Convolution(size, 3, 1), Convolution(size), Convolution(2 * size, 3, 1), Convolution(2 * size)]
    return convolutional(shape, classes, layers, [hidden], batch_norm=batch_norm)


def _seven_layer(shape: Sequence[int], classes: int, batch_norm: bool, size: int) -> nn.Module:
    wide = [Convolution(2 * size, 3, 2), *[Convolution(2 * size, 3, 1)] * 2]
    return convolutional(shape, classes, [*[Convolution(size, 3, 1)] * 2, *wide], [512], batch_norm=batch_norm)


def _mlp(shape: Sequence[int], classes: int, batch_norm: bool, size: int) -> nn.Module:
    return convolutional([math.prod(shape)], classes, [], [size] * 2, batch_norm=batch_norm)


def _shallow(shape: Sequence[int], classes: int, batch_norm: bool, size: int) -> nn.Module:
    return convolutional([math.prod(shape)], classes, [], [size], batch_norm=batch_norm)


_K, _LAYERS = Size("K"), Size("K", most=1000)  # every layer takes time to build, whatever its size
_UNITS = Size("UNITS")

#: By name; capital letters stand for numbers.
ARCHITECTURES: dict[str, Architecture] = {
    "small": Architecture(_small, "16 and 32 filters of 4×4 with stride 2, then 100 units"),
    "medium": Architecture(_medium, "32 filters of 3×3, then 32 and 64 of 4×4 with stride 2, then 128 units"),
    "large": Architecture(_large, "32, 32, 64 and 64 filters, every other layer with stride 2, then 512 and 512 units"),
    "resnet": Architecture(
        _resnet,
        "16 filters, four residual blocks of 16, 16, 32 and 64 with convolutions as shortcuts, then 1,000 units",
    ),
    "resnet-identity": Architecture(
        _resnet_identity, "the four blocks alone, with the identity as shortcut where sizes agree, then 1,000 units"
    ),
    "pooling": Architecture(_pooling, "32 and 64 filters of 5×5, max-pooling after each, then 1,024 units"),
    "preact18": Architecture(_preact18, "PreAct-ResNet18: eight residual blocks of 64 to 512 filters, with batch norm"),
    "wrn:DEPTH-WIDTH": Architecture(
        _wide_resnet,
        "a Wide ResNet of that depth, with 16, 32 and 64 times WIDTH filters, with batch norm",
        (Size("DEPTH", 10, 1000, 6), Size("WIDTH", 1, 1000)),
        "28-10",
    ),
    "wide:K": Architecture(_wide, "4K and 8K filters of 4×4 with stride 2, then 128K units", (_K,)),
    "wide-128:K": Architecture(_wide_128, "4K and 8K filters of 4×4 with stride 2, then 128 units", (_K,)),
    "deep:K": Architecture(
        _deep, "K layers of 8 and K of 16 filters, the last of each with stride 2, then 100 units", (_LAYERS,)
    ),
    "six-layer:K-UNITS": Architecture(
        _six_layer,
        "K filters of 3×3 and K of 4×4 with stride 2, twice as many of each again, then UNITS units",
        (_K, _UNITS),
        "16-512",
    ),
    "seven-layer:K": Architecture(
        _seven_layer, "K, K, 2K, 2K and 2K filters of 3×3, the third with stride 2, then 512 units", (_K,), "64"
    ),
    "shallow:K": Architecture(
        _shallow, "one fully connected layer of K units; for inputs of any shape", (_K,), images=False
    ),
    "mlp:K": Architecture(_mlp, "two fully connected layers of K units; for inputs of any shape", (_K,), images=False),
}
