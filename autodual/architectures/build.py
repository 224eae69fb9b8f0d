"""Architectures by name: `small`, `medium`, `large`, `resnet`, `wide:K`, `deep:K`, `mlp:…`."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from autodual.architectures.convolutional import Convolution, convolutional
from autodual.architectures.residual import residual
from autodual.errors import InvalidInputError

Build = Callable[..., nn.Module]

_MOST_LAYERS, _MOST_UNITS = 1_000, 100_000
"""The largest K of a deep or a wide network; every layer takes time to build, whatever its size."""

_MOST_PARAMETERS = 2**26
"""256 MiB of float32; training keeps several copies."""


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


def _wide(shape: Sequence[int], classes: int, batch_norm: bool, size: int) -> nn.Module:
    layers = [Convolution(4 * size), Convolution(8 * size)]
    return convolutional(shape, classes, layers, [128], batch_norm=batch_norm)


def _deep(shape: Sequence[int], classes: int, batch_norm: bool, size: int) -> nn.Module:
    more = size - 1
    first = [Convolution(8, 3, 1)] * more + [Convolution(8)]
    second = [Convolution(16, 3, 1)] * more + [Convolution(16)]
    return convolutional(shape, classes, [*first, *second], [100], batch_norm=batch_norm)


def _mlp(shape: Sequence[int], classes: int, batch_norm: bool, size: int) -> nn.Module:
    features = 1
    for extent in shape:
        features *= extent
    return convolutional([features], classes, [], [size] * 2, batch_norm=batch_norm)


#: By name: the function that builds the architecture, and a description. Names ending in `:K` take a number.
ARCHITECTURES: dict[str, tuple[Build, str]] = {
    "small": (_small, "16 and 32 filters of 4×4 with stride 2, then 100 units"),
    "medium": (_medium, "32 filters of 3×3, then 32 and 64 of 4×4 with stride 2, then 128 units"),
    "large": (_large, "32, 32, 64 and 64 filters, every other layer with stride 2, then 512 and 512 units"),
    "resnet": (_resnet, "four residual blocks of 16, 16, 32 and 64 filters, then 1,000 units"),
    "wide:K": (_wide, "4K and 8K filters of 4×4 with stride 2, then 128 units"),
    "deep:K": (_deep, "K layers of 8 and K of 16 filters, the last of each with stride 2, then 100 units"),
    "mlp:K": (_mlp, "two fully connected layers of K units; for inputs of any shape"),
}


def describe_architectures() -> str:
    """The names of all architectures, separated by commas.

    Example:
        >>> from autodual.architectures import describe_architectures
        >>> describe_architectures()
        'small, medium, large, resnet, wide:K, deep:K, mlp:K'
    """
    return ", ".join(ARCHITECTURES)


def build_architecture(name: str, shape: Sequence[int], classes: int, *, batch_norm: bool = False) -> nn.Module:
    """A network of the thesis by name, with PyTorch's initial weights from its global generator.

    Args:
        name: one of `ARCHITECTURES`, such as `small` or `wide:4`.
        shape: of one sample, `[channels, height, width]`; for `mlp:K` any.
        classes: the number of outputs.
        batch_norm: whether batch norm follows each layer except the last.

    Raises:
        InvalidInputError: the name is unknown, K is missing or out of range, the samples are no images or too small,
            or the network would have more than 2^26 parameters, which is checked before anything is allocated.

    Example:
        >>> import torch
        >>> from autodual.architectures import build_architecture
        >>> build_architecture("small", (1, 28, 28), 10)(torch.zeros(5, 1, 28, 28)).shape
        torch.Size([5, 10])
    """
    key, stem, number = _key(name)
    if key not in ARCHITECTURES:
        raise InvalidInputError(f"'{name}' is no architecture; there are {describe_architectures()}")
    most = _MOST_LAYERS if stem == "deep" else _MOST_UNITS
    if number is not None and not (re.fullmatch(r"[0-9]{1,6}", number) and 1 <= int(number) <= most):
        raise InvalidInputError(f"'{name[:40]}' needs a whole number from 1 to {most} for K, such as {stem}:2")
    if stem != "mlp" and len(shape) != 3:
        raise InvalidInputError(
            f"'{name}' is for images [channels, height, width], but samples have the shape {tuple(shape)}; use mlp:K"
        )
    arguments = shape, classes, batch_norm, *([] if number is None else [int(number)])
    _check_size(name, ARCHITECTURES[key][0], arguments)
    return ARCHITECTURES[key][0](*arguments)


def _check_size(name: str, build: Build, arguments: tuple[Any, ...]) -> None:
    """Raise InvalidInputError for a network that is too large for any memory, or whose inputs are too small.

    The network is built on the meta device, with shapes but no values.
    """
    where = f"'{name}' for samples of shape {tuple(arguments[0])} and {arguments[1]} classes"
    try:
        with torch.device("meta"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch warns that nothing is initialised
            parameters = [parameter.shape for parameter in build(*arguments).parameters()]
    except (RuntimeError, OverflowError):
        parameters = []
    if not parameters or min(min(shape) for shape in parameters) < 1:
        raise InvalidInputError(f"{where} cannot be built: the samples are too small or too large for it")
    count = sum(shape.numel() for shape in parameters)
    if count > _MOST_PARAMETERS:
        raise InvalidInputError(f"{where} would have {count} parameters; at most {_MOST_PARAMETERS} are built")


def is_architecture(name: str) -> bool:
    """Whether a name is that of an architecture rather than of a factory.

    Args:
        name: such as `wide:4` or `package.module:factory`.

    Example:
        >>> from autodual.architectures import is_architecture
        >>> is_architecture("wide:4"), is_architecture("package.module:factory")
        (True, False)
    """
    return _key(name)[0] in ARCHITECTURES


def _key(name: str) -> tuple[str, str, str | None]:
    """The name's key in the table, the name without K, and K as written."""
    stem, colon, number = name.partition(":")
    return (f"{stem}:K", stem, number) if colon else (stem, stem, None)
