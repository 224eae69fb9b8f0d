"""Resolving `package.module:factory`, the code of a network whose file holds weights only."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from autodual.errors import InvalidInputError, ModelFileError

Factory = Callable[[], nn.Module]


def resolve_factory(reference: str) -> Factory:
    """The callable named by `package.module:factory` or `path/to/file.py:factory`; importing it runs that module.

    Raises:
        InvalidInputError: the reference has no colon, or names nothing that can be imported and called.
    """
    place, colon, attribute = reference.rpartition(":")
    if not colon or not place or not attribute:
        raise InvalidInputError(f"'{reference}' is not of the form package.module:factory or path/to/file.py:factory.")
    target: Any = _import_file(Path(place)) if place.endswith(".py") else _import_module(place)
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


def _import_module(name: str) -> ModuleType:
    try:
        with modules_from_here():
            return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        raise InvalidInputError(f"The module '{name}' cannot be imported: {type(error).__name__}: {error}") from error


@contextmanager
def modules_from_here() -> Iterator[None]:
    """Inside, modules of the working directory are found, which a console script, unlike `python -m`, does not see."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        if here in sys.path:
            sys.path.remove(here)


def _import_file(path: Path) -> ModuleType:
    if not os.path.isfile(path):  # unlike the method of paths, it raises nothing where a name is too long
        raise InvalidInputError(f"There is no file '{path}' to take the architecture from.")
    spec = importlib.util.spec_from_file_location(f"autodual_architecture_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise InvalidInputError(f"'{path}' cannot be imported as a Python module.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise InvalidInputError(f"'{path}' cannot be imported: {type(error).__name__}: {error}") from error
    return module
