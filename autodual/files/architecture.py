"""Resolving `package.module:factory`, the code of a network whose file holds only weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from autodual.errors import InvalidInputError, ModelFileError
from autodual.extensions.user_code import import_file, import_module

Factory = Callable[[], nn.Module]


def resolve_factory(reference: str) -> Factory:
    """The callable named by `package.module:factory` or `path/to/file.py:factory`; importing it runs that module.

    Raises:
        InvalidInputError: the reference has no colon, or what it names cannot be imported and called.
    """
    place, colon, attribute = reference.rpartition(":")
    if not colon or not place or not attribute:
        raise InvalidInputError(f"'{reference}' is not of the form package.module:factory or path/to/file.py:factory.")
    target: Any
    if place.endswith(".py"):
        target = import_file(Path(place), f"autodual_architecture_{Path(place).stem}", "the architecture")
    else:
        target = import_module(place)
    for name in attribute.split("."):
        if not hasattr(target, name):
            raise InvalidInputError(f"'{place}' has no factory '{attribute}'.")
        target = getattr(target, name)
    if not callable(target):
        raise InvalidInputError(f"'{reference}' cannot be called, so it cannot build a model.")
    return target


def build(factory: Factory) -> nn.Module:
    """`factory()`, checked to be a module.

    Raises:
        ModelFileError: the factory fails or returns something else.
    """
    try:
        model = factory()
    except (Exception, SystemExit) as error:  # the factory is the user's code
        raise ModelFileError(
            f"The architecture's factory failed: {type(error).__name__}: {error} (it is called without arguments)."
        ) from error
    if not isinstance(model, nn.Module):
        raise ModelFileError(f"The architecture's factory returned a {type(model).__name__}, not a torch.nn.Module.")
    return model
