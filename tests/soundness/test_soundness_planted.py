"""Planted counterexamples: networks that were trained to have one in each set are never certified there."""

from __future__ import annotations

from functools import cache

import numpy
import pytest
import torch
from support.bound_ways import WAYS
from torch import nn

import autodual
from autodual.certification import VerdictStatus
from autodual.perturbations import PerturbationSet, require_support
from autodual.policies import Effort
from autodual.properties import Case, Conjunction, Property, Variable
from autodual.testing import PlantedNetwork, plant_counterexamples

CLASSES, FEATURES = 3, 8


def _dense(activation: type[nn.Module]) -> nn.Sequential:
    return nn.Sequential(nn.Linear(FEATURES, 24), activation(), nn.Linear(24, 24), activation(), nn.Linear(24, CLASSES))


def _convolutional() -> nn.Sequential:
    return nn.Sequential(
        nn.Unflatten(1, (2, 2, 2)), nn.Conv2d(2, 8, 2, padding=1), nn.ReLU(), nn.MaxPool2d(2, 1), nn.Flatten(),
        nn.Linear(32, 16), nn.LeakyReLU(0.1), nn.Linear(16, CLASSES),
    )  # fmt: skip


MODELS = {"relu": lambda: _dense(nn.ReLU), "tanh": lambda: _dense(nn.Tanh), "convolutional": _convolutional}
SETS = {
    "linf": lambda x, share: autodual.LinfBall(0.2 * share, (0, 1)),
    "l2": lambda x, share: autodual.L2Ball(0.3 * share),
    "clipped l2": lambda x, share: autodual.L2Ball(0.3 * share, (0, 1)),
    "l1": lambda x, share: autodual.L1Ball(0.4 * share),
    "box": lambda x, share: autodual.Box(x - share * _sides(x), x + share * _sides(x).flip(1)),
}


def _sides(x: torch.Tensor) -> torch.Tensor:
    """Half-widths that differ from feature to feature."""
    return torch.linspace(0.05, 0.25, FEATURES).expand_as(x)


@cache
def planted(kind: str, shape: str) -> tuple[PlantedNetwork, autodual.DualNetwork]:
    torch.manual_seed(0)
    x = torch.rand(3, FEATURES)
    found = plant_counterexamples(MODELS[kind](), x, SETS[shape](x, 1.0), classes=CLASSES)
    return found, autodual.compile_dual(found.model, x)


def _certified(found: PlantedNetwork, dual: autodual.DualNetwork, ball: PerturbationSet, **options) -> int:
    return sum(one.status == "certified" for one in autodual.certify(dual, found.x, ball, found.labels, **options))


@pytest.mark.parametrize("shape", SETS)
@pytest.mark.parametrize("kind", MODELS)
def test_no_bound_certifies_a_planted_counterexample(kind: str, shape: str) -> None:
    found, dual = planted(kind, shape)
    for way, options in WAYS.items():
        assert _certified(found, dual, found.ball, **options) == 0, way
    assert _certified(found, dual, found.ball, slopes="adaptive", balls=True, deployed=True) == 0


@pytest.mark.parametrize("kind", MODELS)
def test_small_sets_around_the_same_samples_are_certified(kind: str) -> None:
    """So the networks are no harder than others, and the test above is not passed by bounds that prove nothing."""
    for shape, ball in SETS.items():
        found, dual = planted(kind, shape)
        assert _certified(found, dual, ball(found.x, 0.02), slopes="adaptive", balls=True) == 3, shape


@pytest.mark.parametrize("balls", [False, True])
def test_certified_radii_end_before_the_counterexample(balls: bool) -> None:
    for shape, ball in (("l2", autodual.L2Ball), ("l1", autodual.L1Ball)):
        found, dual = planted("relu", shape)
        radii = autodual.certified_radius(dual, found.x, ball, found.labels, balls=balls)
        distance = torch.linalg.vector_norm(found.points - found.x, 2 if shape == "l2" else 1, dim=1)
        assert bool((radii <= distance).all())


def _property(found: PlantedNetwork, sample: int) -> Property:
    """Violated by a point of the sample's box that has another class."""
    box = require_support(found.ball.at(found.x)).enclosure()
    ends = [end[sample].double().numpy() for end in (box.lower, box.upper)]
    parts = []
    for other in {0, 1, 2} - {int(found.labels[sample])}:
        row = numpy.zeros((1, CLASSES))
        row[0, found.labels[sample]], row[0, other] = 1.0, -1.0
        parts.append(Conjunction(row, numpy.zeros(1), numpy.zeros(1, bool)))
    variables = Variable("X", (FEATURES,)), Variable("Y", (CLASSES,))
    return Property((variables[0],), (variables[1],), (Case(*ends, tuple(parts)),), "1.0", None, 0, "")


@pytest.mark.parametrize("kind", MODELS)
def test_no_verdict_calls_a_planted_property_safe(kind: str) -> None:
    for shape, attack in (("linf", None), ("box", autodual.attacks.Pgd(steps=10))):
        found, dual = planted(kind, shape)
        verdict = autodual.verify(dual, _property(found, 0), timeout=0.4, attack=attack)
        assert verdict.status in (VerdictStatus.SAT, VerdictStatus.UNKNOWN, VerdictStatus.TIMEOUT), shape


def test_exact_programs_find_the_counterexample() -> None:
    found, dual = planted("relu", "linf")
    certificates = autodual.certify(dual, found.x[:1], found.ball, found.labels[:1], exact_seconds=5.0)
    assert certificates[0].status != "certified"


@pytest.mark.parametrize("effort", ["fast", "normal", "high"])
def test_no_effort_certifies_a_planted_counterexample(effort: Effort) -> None:
    for kind, shape in (("relu", "linf"), ("relu", "clipped l2"), ("tanh", "l2"), ("convolutional", "box")):
        found, dual = planted(kind, shape)
        timeout = {"timeout": 0.2} if effort == "high" else {}
        assert _certified(found, dual, found.ball, effort=effort, **timeout) == 0, (kind, shape)
