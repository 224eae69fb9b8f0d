"""In these rooms every public function and method describes its arguments, whether the room exports it or not."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from types import FunctionType

import pytest

ROOMS = ("autodual.dual", "autodual.estimators", "autodual.extend", "autodual.ir", "autodual.testing")


def _modules() -> Iterator[str]:
    for name in ROOMS:
        yield name
        for found in pkgutil.walk_packages(import_module(name).__path__, f"{name}."):
            yield found.name


def _texts(owner: type | None, name: str, function: FunctionType) -> str:
    """The function's docstring; of a method also those of the methods that it overrides."""
    if owner is None:
        return function.__doc__ or ""
    return "\n".join(vars(base)[name].__doc__ or "" for base in owner.__mro__ if name in vars(base))


def _defined(module: str) -> Iterator[tuple[type | None, str, FunctionType]]:
    for name, value in vars(import_module(module)).items():
        if name.startswith("_") or getattr(value, "__module__", "") != module:
            continue
        if isinstance(value, FunctionType):
            yield None, name, value
        elif inspect.isclass(value):
            for key, member in vars(value).items():
                function = getattr(member, "__func__", member)
                if isinstance(function, FunctionType) and not key.startswith("_"):
                    yield value, key, function


@pytest.mark.parametrize("module", _modules())
def test_every_argument_is_described(module: str) -> None:
    missing = {}
    for owner, name, function in _defined(module):
        text = _texts(owner, name, function)
        arguments = [key for key in inspect.signature(function).parameters if key not in ("self", "cls")]
        absent = [key for key in arguments if f" {key}: " not in text and f"`{key}`" not in text]
        if not text.strip() or absent:
            missing[f"{owner.__name__}.{name}" if owner else name] = absent
    assert not missing
