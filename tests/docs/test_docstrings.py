"""Public functions and methods describe their arguments and have an example that runs."""

from __future__ import annotations

import doctest
import inspect
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from importlib import import_module
from types import FunctionType
from typing import Any, get_args, get_type_hints

import numpy
import pytest

import autodual

ROOMS = (
    "autodual",
    "autodual.adapters",
    "autodual.architectures",
    "autodual.attacks",
    "autodual.compiler",
    "autodual.data",
    "autodual.dual",
    "autodual.estimators",
    "autodual.evaluation",
    "autodual.extend",
    "autodual.extensions",
    "autodual.files",
    "autodual.frontend",
    "autodual.frontend.onnx",
    "autodual.ir",
    "autodual.ir.scalars",
    "autodual.limits",
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
#: Rooms whose classes must describe the arguments of their methods too.
ROOMS_OF_CLASSES = (
    "autodual.adapters",
    "autodual.architectures",
    "autodual.attacks",
    "autodual.compiler",
    "autodual.data",
    "autodual.dual",
    "autodual.estimators",
    "autodual.evaluation",
    "autodual.extensions",
    "autodual.files",
    "autodual.ir",
    "autodual.ir.scalars",
    "autodual.limits",
    "autodual.passes",
    "autodual.perturbations",
    "autodual.properties",
    "autodual.specs",
    "autodual.testing",
)
#: Single modules whose functions and classes are public.
MODULES = (
    "autodual.inputs",
    "autodual.interval",
    "autodual.named_choices",
    "autodual.number_ranges",
    "autodual.objective",
    "autodual.policies",
    "autodual.progress",
    "autodual.tensors",
    "autodual.world",
)
#: Classes that extensions derive from, make or are given, and that therefore need an example.
SHOWN = (
    *("AffineLayer", "AffineRule", "DualLayer", "Executed", "LineFamily", "LinearRelaxation", "NonlinearRule"),
    *("Place", "Precision", "RelaxationRule", "RelaxedLayer", "Rows", "Window"),
    *("Accuracy", "Call", "Curve", "CurveOp", "Domain", "ElementwiseOp", "Environment", "Graph", "Node", "Op"),
    *("Parameter", "Source", "DenseObjective", "Interval"),
    *("CauchyGeometricMean", "CauchyMedian", "Estimator", "ExactL1", "ExactL2", "GaussianNorm", "Stream"),
    *("NetworkDescription", "Normalise", "Fgsm", "Pgd", "Dataset", "Extension", "LoadedModel", "Budget"),
    *("FoolboxAttack", "TorchattacksAttack", "MaskingSign"),
    *("AssignRules", "ChooseExecution", "FindBoundSites", "FoldAffine", "RemoveDeadNodes"),
    *("HighProbability", "RandomProjection", "Projection", "Range"),
    *("Box", "L1Ball", "L2Ball", "LinfBall", "LpBall", "ProductSet", "CentredNorms", "WholeView"),
    *("ChosenSet", "SetEntry", "SetParameter", "PerturbationSet"),
    *("Case", "Conjunction", "Property", "Variable"),
    *("ClassMargin", "Deviation", "Formula", "HalfSpaces", "LabelMap", "OtherClasses", "OutputBox", "TopK"),
)
#: Methods of the dual network that programs call.
CALLS = ("forward", "lower_bounds", "upper_bounds", "margins", "bounds", "outputs")


def _public(names: Iterable[str]) -> Iterator[tuple[str, object]]:
    for name in names:
        room = import_module(name)
        own = [key for key, value in vars(room).items() if getattr(value, "__module__", "") == name]
        for key in getattr(room, "__all__", own):
            if not key.startswith("_"):
                yield key, getattr(room, key)


def _functions() -> Iterator[tuple[str, Callable[..., object]]]:
    found: dict[str, Callable[..., object]] = {}
    for key, value in _public((*ROOMS, *MODULES)):
        if inspect.isfunction(value):
            found.setdefault(f"{value.__module__}.{key}", value)
    found["autodual.Ask"] = autodual.Ask
    for key in CALLS:
        found[f"autodual.DualNetwork.{key}"] = getattr(autodual.DualNetwork, key)
    yield from found.items()


def _methods() -> Iterator[tuple[str, Callable[..., object]]]:
    for cls in CLASSES.values():
        for key, value in vars(cls).items():
            inherited = value.__doc__ is None and any(key in vars(base) for base in cls.__mro__[1:])
            ours = isinstance(value, (FunctionType, classmethod)) and not key.startswith("_")
            if ours and not inherited:
                yield f"{cls.__module__}.{cls.__name__}.{key}", getattr(cls, key)


FUNCTIONS = dict(_functions())
CLASSES = {
    f"{value.__module__}.{key}": value
    for key, value in _public((*ROOMS_OF_CLASSES, *MODULES))
    if inspect.isclass(value)
}
METHODS = dict(_methods())
SHOWN_CLASSES = {name: cls for name, cls in CLASSES.items() if cls.__name__ in SHOWN}


@pytest.mark.parametrize("function", [*FUNCTIONS.values(), *METHODS.values()], ids=[*FUNCTIONS, *METHODS])
def test_every_argument_is_described(function: FunctionType) -> None:
    text = inspect.getdoc(function) or ""
    names = [name for name in inspect.signature(function).parameters if name != "self"]
    missing = [name for name in names if f"    {name}: " not in text and f"`{name}`" not in text]
    assert (text and not missing) or (len(names) == 1 and len(text.splitlines()) > 1), missing


@pytest.mark.parametrize("cls", CLASSES.values(), ids=CLASSES)
def test_every_property_is_described(cls: type) -> None:
    names = [key for key, value in vars(cls).items() if isinstance(value, (property, cached_property))]
    assert not [name for name in names if not name.startswith("_") and not _described(cls, name)]


def _described(cls: type, name: str) -> bool:
    """Whether the property has a docstring, its own or that of a base class."""
    return any(vars(base)[name].__doc__ for base in cls.__mro__ if name in vars(base))


@pytest.mark.usefixtures("restored_registries")
@pytest.mark.parametrize("thing", [*FUNCTIONS.values(), *SHOWN_CLASSES.values()], ids=[*FUNCTIONS, *SHOWN_CLASSES])
def test_the_example_runs(thing: object, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    examples = doctest.DocTestFinder(recurse=inspect.isclass(thing)).find(thing, globs={})
    assert any(test.examples for test in examples), "no example"
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    for test in examples:
        failures, _ = runner.run(test)
        assert failures == 0


def _typed() -> Iterator[tuple[str, Any]]:
    """The public names that have annotations, and the methods and properties of those that are classes."""
    for name in autodual.__all__:
        value = getattr(autodual, name)
        if inspect.isfunction(value) or inspect.isclass(value):
            yield name, value
        for key, member in vars(value).items() if inspect.isclass(value) else ():
            function = getattr(member, "fget", None) or getattr(member, "__func__", member)
            if inspect.isfunction(function):
                yield f"{name}.{key}", function


TYPED = dict(_typed())


@pytest.mark.parametrize("value", TYPED.values(), ids=TYPED)
def test_the_annotations_are_types(value: object) -> None:
    """Programs that make command lines or forms from annotations need types, not strings."""
    assert not any(isinstance(hint, str) for hint in get_type_hints(value).values())


def test_arrays_are_among_the_types_of_samples() -> None:
    assert numpy.ndarray in get_args(get_type_hints(autodual.certify)["x"])
