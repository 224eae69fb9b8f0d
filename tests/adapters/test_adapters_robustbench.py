"""Networks of RobustBench's zoo, with a stand-in for the package."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest
from torch import nn

from autodual.adapters import load_robustbench
from autodual.errors import InvalidInputError


@pytest.fixture
def package(monkeypatch) -> ModuleType:
    found = ModuleType("robustbench.utils")
    monkeypatch.setitem(sys.modules, "robustbench.utils", found)
    monkeypatch.setattr("autodual.adapters.packages.find_spec", lambda name: name == "robustbench")
    return found


def test_the_zoo_is_asked_by_name_and_the_network_is_in_evaluation_mode(package) -> None:
    asked = []

    def load_model(**options):
        asked.append(options)
        return nn.Dropout().train()

    package.load_model = load_model
    model = load_robustbench("Carmon2019Unlabeled", threat="L2", folder="zoo")
    assert not model.training
    assert asked == [
        {"model_name": "Carmon2019Unlabeled", "model_dir": "zoo", "dataset": "cifar10", "threat_model": "L2"}
    ]


def test_a_missing_package_is_named(monkeypatch) -> None:
    monkeypatch.setattr("autodual.adapters.packages.find_spec", lambda name: None)
    with pytest.raises(InvalidInputError, match=r"needs the package robustbench; install it with pip install git\+"):
        load_robustbench("Carmon2019Unlabeled")


def test_a_package_that_does_not_load_says_why(package, monkeypatch) -> None:
    def fails(name: str) -> None:
        raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr("autodual.adapters.packages.import_module", fails)
    with pytest.raises(InvalidInputError, match=r"cannot be imported \(operator torchvision::nms does not exist\)"):
        load_robustbench("Carmon2019Unlabeled")
