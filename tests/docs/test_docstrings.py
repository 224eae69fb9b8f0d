"""Public functions say what they take, and show how they are called: their examples run."""

from __future__ import annotations

import doctest
import inspect
from collections.abc import Callable, Iterator
from importlib import import_module
from types import FunctionType

import pytest

import autodual

ROOMS = (
    "autodual",
    "autodual.architectures",
    "autodual.attacks",
    "autodual.data",
    "autodual.dual",
    "autodual.extend",
    "autodual.frontend",
    "autodual.frontend.onnx",
    "autodual.ir",
    "autodual.passes",
    "autodual.perturbations",
    "autodual.properties",
    "autodual.report",
    "autodual.specs",
    "autodual.testing",
    "autodual.train",
    "autodual.train.losses",
    "autodual.train.recipe",
)
#: Methods of the dual network that programs call.
CALLS = ("forward", "lower_bounds", "upper_bounds", "margins", "bounds", "outputs")


def _functions() -> Iterator[tuple[str, Callable[..., object]]]:
    found: dict[str, Callable[..., object]] = {}
    for name in ROOMS:
        room = import_module(name)
        for key in room.__all__:
            value = getattr(room, key)
            if inspect.isfunction(value):
                found.setdefault(f"{value.__module__}.{key}", value)
    found["autodual.Ask"] = autodual.Ask
    for key in CALLS:
        found[f"autodual.DualNetwork.{key}"] = getattr(autodual.DualNetwork, key)
    yield from found.items()


FUNCTIONS = dict(_functions())


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_every_argument_is_described(function: FunctionType) -> None:
    text = inspect.getdoc(function) or ""
    names = [name for name in inspect.signature(function).parameters if name != "self"]
    missing = [name for name in names if f"    {name}: " not in text and f"`{name}`" not in text]
    assert not missing or (len(names) == 1 and len(text.splitlines()) > 1), missing


@pytest.mark.usefixtures("restored_registries")
@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_the_example_runs(function: FunctionType, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    examples = doctest.DocTestFinder(recurse=False).find(function, globs={})
    assert any(test.examples for test in examples), "no example"
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    for test in examples:
        failures, _ = runner.run(test)
        assert failures == 0
