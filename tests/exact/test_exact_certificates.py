"""Exact verification proves or refutes what bounds leave open, and changes nothing else."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import autodual
from autodual.attacks import Pgd
from autodual.errors import InvalidInputError
from autodual.specs import Formula

BALL = autodual.LinfBall(0.35)


@pytest.fixture(scope="module")
def model() -> nn.Module:
    torch.manual_seed(4)
    layers = nn.Sequential(nn.Linear(3, 10), nn.ReLU(), nn.Linear(10, 8), nn.ReLU(), nn.Linear(8, 3))
    for parameter in layers.parameters():
        nn.init.normal_(parameter, std=0.6)
    return layers


@pytest.fixture(scope="module")
def x() -> torch.Tensor:
    return torch.rand(24, 3, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def dual(model: nn.Module, x: torch.Tensor) -> autodual.DualNetwork:
    return autodual.compile_dual(model, x)


def test_every_sample_is_decided(dual: autodual.DualNetwork, model: nn.Module, x: torch.Tensor) -> None:
    plain, exact = autodual.certify(dual, x, BALL), autodual.certify(dual, x, BALL, exact_seconds=math.inf)
    statuses = [str(one.status) for one in exact]
    assert set(statuses) == {"certified", "falsified"} and "unknown" in [str(one.status) for one in plain]
    # Some samples that bounds leave open are in fact robust.
    gained = [place for place, one in enumerate(plain) if not one.certified and exact[place].certified]
    assert gained
    points = BALL.at(x).sample(20_000)
    classes = model(points).argmax(-1)
    for place, one in enumerate(exact):
        assert (one.exact is None) == plain[place].certified
        if one.certified:
            assert (classes[:, place] == one.predicted).all() and one.margin > 0
        else:
            assert one.counterexample is not None and one.reached != one.predicted
            assert int(model(one.counterexample[None]).argmax()) == one.reached


def test_after_an_attack_fewer_samples_are_decided_exactly(dual: autodual.DualNetwork, x: torch.Tensor) -> None:
    x = x[:12]
    found = autodual.certify(dual, x, BALL, attack=Pgd(steps=20), exact_seconds=60.0, bracket=True)
    again = autodual.certify(dual, x, BALL, exact_seconds=60.0)
    assert [one.status for one in found] == [one.status for one in again]
    assert sum(one.exact is not None for one in found) < sum(one.exact is not None for one in again)
    assert [one.attacked for one in found] == [not one.certified for one in found]


def test_samples_that_run_out_of_time_stay_unknown(dual: autodual.DualNetwork, x: torch.Tensor) -> None:
    x = x[:12]
    plain, exact = autodual.certify(dual, x, BALL), autodual.certify(dual, x, BALL, exact_seconds=1e-9)
    assert [one.status for one in exact] == [one.status for one in plain]
    assert not any(one.exact.finished for one in exact if one.exact is not None)
    with pytest.raises(InvalidInputError, match="exact_seconds must be positive"):
        autodual.certify(dual, x, BALL, exact_seconds=0.0)


def test_alternatives_are_decided_together() -> None:
    """y0 > 0 or y1 > 0 of (z, 0.1 - z) holds everywhere, but neither part does."""
    model = nn.Linear(1, 2)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0], [-1.0]]))
        model.bias.copy_(torch.tensor([0.0, 0.1]))
    x, ball = torch.tensor([[0.0]]), autodual.LinfBall(1.0)
    dual, goal = autodual.compile_dual(model, x), Formula("y0 > 0 or y1 > 0")
    assert not autodual.certify(dual, x, ball, spec=goal)[0].certified
    (found,) = autodual.certify(dual, x, ball, spec=goal, exact_seconds=9.0)
    assert found.certified and found.margin == pytest.approx(0.05, abs=0.06) and found.margin > 0
    wrong = Formula("y0 > 0.06 or y1 > 0.06")
    (found,) = autodual.certify(dual, x, ball, spec=wrong, exact_seconds=9.0)
    assert str(found.status) == "falsified" and 0.03 < float(found.counterexample) < 0.07


def test_a_tie_is_neither_proved_nor_refuted() -> None:
    """relu(z) + relu(-z) is 0 at z = 0 and nowhere negative."""
    model = nn.Sequential(nn.Linear(1, 2, bias=False), nn.ReLU(), nn.Linear(2, 2, bias=False))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0], [-1.0]]))
        model[2].weight.copy_(torch.tensor([[1.0, 1.0], [0.0, 0.0]]))
    x = torch.tensor([[0.5]])
    dual = autodual.compile_dual(model, x)
    (found,) = autodual.certify(dual, x, autodual.LinfBall(1.0), [0], exact_seconds=9.0)
    assert str(found.status) == "unknown" and found.margin <= 0


def test_a_deployed_certificate_needs_a_larger_margin(dual: autodual.DualNetwork, x: torch.Tensor) -> None:
    x = x[:6]
    exact = autodual.certify(dual, x, BALL, exact_seconds=60.0)
    deployed = autodual.certify(dual, x, BALL, exact_seconds=60.0, deployed=True)
    for plain, run in zip(exact, deployed):
        assert not run.certified or (plain.certified and run.margin > run.execution_error * 0.999)


def test_boxes_may_differ_between_samples(dual: autodual.DualNetwork, x: torch.Tensor) -> None:
    x = x[:12]
    radius = torch.linspace(0.05, 0.6, len(x)).unsqueeze(1)
    together = autodual.certify(dual, x, autodual.Box(x - radius, x + radius), exact_seconds=60.0)
    for place in (0, 6, 11):
        box = autodual.Box(x[place] - radius[place], x[place] + radius[place])
        (alone,) = autodual.certify(dual, x[place : place + 1], box, exact_seconds=60.0)
        assert alone.status == together[place].status
