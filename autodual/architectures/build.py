"""Builds architectures by name, of bounded size: `small`, `wide:4`, `wrn:28-10`, and others."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from autodual.architectures.catalogue import ARCHITECTURES, Architecture, Build
from autodual.errors import InvalidInputError

_MOST_PARAMETERS = 2**28
"""1 GiB of float32; training keeps several copies."""


def describe_architectures() -> str:
    """The names of all architectures, separated by commas.

    Example:
        >>> from autodual.architectures import describe_architectures
        >>> describe_architectures().split(", ")[:4]
        ['small', 'medium', 'large', 'resnet']
    """
    return ", ".join(ARCHITECTURES)


def build_architecture(name: str, shape: Sequence[int], classes: int, *, batch_norm: bool = False) -> nn.Module:
    """A network of the thesis by name, with PyTorch's initial weights from its global generator.

    Args:
        name: one of `ARCHITECTURES`, such as `small` or `wide:4`.
        shape: of one sample, `[channels, height, width]`; for `mlp:K` any.
        classes: the number of outputs.
        batch_norm: whether batch norm follows each layer except the last; `preact18` and `wrn` always have theirs.

    Raises:
        InvalidInputError: the name is unknown, its numbers are missing or out of range, the samples are no images or
            too small, or the network would have more than 2^28 parameters, which is checked before anything is
            allocated.

    Example:
        >>> import torch
        >>> from autodual.architectures import build_architecture
        >>> build_architecture("small", (1, 28, 28), 10)(torch.zeros(5, 1, 28, 28)).shape
        torch.Size([5, 10])
    """
    architecture = _named(name)
    if architecture is None:
        raise InvalidInputError(f"'{name}' is no architecture; there are {describe_architectures()}")
    numbers = architecture.numbers(name, name.partition(":")[2])
    if architecture.images and len(shape) != 3:
        raise InvalidInputError(
            f"'{name}' is for images [channels, height, width], but samples have the shape {tuple(shape)}; use mlp:K"
        )
    arguments = shape, classes, batch_norm, *numbers
    _check_size(name, architecture.build, arguments)
    return architecture.build(*arguments)


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
    return _named(name) is not None


def _named(name: str) -> Architecture | None:
    """The architecture of a name, whatever its numbers; None if there is none."""
    stem, colon, _ = name.partition(":")
    return next((one for key, one in ARCHITECTURES.items() if key.partition(":")[:2] == (stem, colon)), None)
