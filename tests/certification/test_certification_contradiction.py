"""A sample that is certified and also has a counterexample stops the run, and the error holds the evidence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import nn

import autodual
from autodual.attacks import Pgd
from autodual.dual import LinearRelaxation, find_rule
from autodual.dual.registry import dual_rule
from autodual.dual.relu import ReluRule
from autodual.errors import ContradictionError, InvalidInputError
from autodual.ir import ops

ATTACK = Pgd(steps=10, seed=0)


@pytest.fixture
def unsound() -> Iterator[None]:
    """A ReLU rule whose lower line is too high, by 3/16 of the interval's width."""

    @dual_rule(ops.Relu, replace=True)
    class Unsound(ReluRule):
        def adaptive(self, op: Any, bounds: Any, environment: Any) -> LinearRelaxation:
            lines = super().adaptive(op, bounds, environment)
            gap = 0.1875 * (bounds[0].upper - bounds[0].lower)
            raised = torch.where((bounds[0].lower < 0) & (bounds[0].upper > 0), gap, 0 * gap)
            return replace(lines, lower_intercept=lines.lower_intercept + raised, grounded=False)

    yield
    dual_rule(ops.Relu, replace=True)(ReluRule)


def _model() -> nn.Module:
    """f_0 - f_1 = relu(x) + relu(-x) - 0.05, which is negative near 0."""
    model = nn.Sequential(nn.Linear(1, 2, bias=False), nn.ReLU(), nn.Linear(2, 2))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0], [-1.0]]))
        model[2].weight.copy_(torch.tensor([[1.0, 1.0], [0.0, 0.0]]))
        model[2].bias.copy_(torch.tensor([-0.05, 0.0]))
    return model


SAMPLES = torch.tensor([[2.0], [0.2]])


def test_an_unsound_rule_is_caught(unsound: None) -> None:
    dual, ball = autodual.compile_dual(_model(), SAMPLES), autodual.LinfBall(0.4)
    assert [str(one.status) for one in autodual.certify(dual, SAMPLES, ball, [0, 0])] == ["certified"] * 2
    with pytest.raises(ContradictionError, match="sample 1 is certified and has a counterexample") as caught:
        autodual.certify(dual, SAMPLES, ball, [0, 0], attack=ATTACK, bracket=True)
    evidence = json.loads(json.dumps(caught.value.evidence))
    (point,) = evidence["point"]
    assert -0.2 <= point <= 0.6 and evidence["value"] < 0 < evidence["bound"] and evidence["certified"]
    assert evidence["value"] == pytest.approx(abs(point) - 0.05) and evidence["original"] == pytest.approx([0.2])
    assert len(evidence["network"]["tensors_sha256"]) == 64 and evidence["network"]["ops"].count("relu") == 1


def test_the_sample_itself_may_be_the_counterexample(unsound: None) -> None:
    x = torch.tensor([[0.0]])
    dual = autodual.compile_dual(_model(), x)
    with pytest.raises(ContradictionError, match="sample 0 is certified"):
        autodual.certify(dual, x, autodual.LinfBall(0.4), [0])


def test_points_below_a_negative_bound_are_caught(unsound: None) -> None:
    model = _model()
    with torch.no_grad():
        model[2].bias.copy_(torch.tensor([-1.2, 0.0]))
    x = torch.tensor([[1.3]])
    dual = autodual.compile_dual(model, x)
    ball = autodual.LinfBall(1.4)
    with pytest.raises(ContradictionError, match="point below a proved bound"):
        autodual.certify(dual, x, ball, [0], attack=ATTACK)


def test_sound_rules_raise_no_contradiction() -> None:
    dual, ball = autodual.compile_dual(_model(), SAMPLES), autodual.LinfBall(0.4)
    found = autodual.certify(dual, SAMPLES, ball, [0, 0], attack=ATTACK, bracket=True)
    assert [str(one.status) for one in found] == ["certified", "falsified"]
    with pytest.raises(InvalidInputError, match="needs an attack"):
        autodual.certify(dual, SAMPLES, ball, [0, 0], bracket=True)


@dataclass(frozen=True)
class Corner(Pgd):
    """Always returns the upper corner of the set."""

    def run(self, function: Any, region: Any, specification: Any, generator: Any = None) -> torch.Tensor:
        return region.steepest(torch.ones_like(region.centre))


def test_ties_within_rounding_are_no_contradiction() -> None:
    """The least f_0 - f_1, at the upper corner, is positive by so little that it may be negative in float32."""
    model, x, ball = nn.Linear(40, 2), torch.rand(1, 40), autodual.Box(torch.zeros(40), torch.ones(40))
    dual, ties = autodual.compile_dual(model, x), 0
    for seed in range(16):
        torch.manual_seed(seed)
        with torch.no_grad():
            model.weight[1] = torch.randn(40)
            model.weight[0] = model.weight[1] - torch.rand(40)
            level = (model.weight[1].double() - model.weight[0].double()).sum()
            model.bias.copy_(torch.stack([level, 0 * level]))
            while model.bias[0] <= level:
                model.bias[0] = model.bias[0].nextafter(torch.tensor(torch.inf))
            outputs = model(torch.ones(1, 40))[0]
        found = autodual.certify(dual, x, ball, [0], attack=Corner(), bracket=True)
        assert str(found[0].status) == "certified"
        ties += bool(outputs[0] < outputs[1])
    assert ties > 1


def test_the_built_in_rule_is_restored() -> None:
    assert type(find_rule(ops.Relu())) is ReluRule
