"""Packages that adapters need when they are used, and that users install themselves."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from autodual.errors import InvalidInputError, reason_of


def required(name: str, install: str) -> Any:
    """A module of a package that is no dependency.

    Args:
        name: of the module.
        install: what to give to pip.

    Raises:
        InvalidInputError: it is not installed, or cannot be imported.
    """
    package = name.partition(".")[0]
    if find_spec(package) is None:
        raise InvalidInputError(f"this adapter needs the package {package}; install it with pip install {install}")
    try:
        return import_module(name)
    except Exception as error:  # whatever goes wrong in another program
        raise InvalidInputError(
            f"the package {package} is installed, but cannot be imported ({reason_of(error)}); check that its versions "
            "of torch and torchvision are those installed"
        ) from error
