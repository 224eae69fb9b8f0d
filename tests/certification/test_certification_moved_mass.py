"""Certificates over Wasserstein balls, alone, in unions and in products: no attack breaks what is certified."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import autodual
from autodual.attacks import FrankWolfe, Pgd, counterexamples
from autodual.perturbations import WholeView
from autodual.specs import ClassMargin, TopK

_EPS = torch.tensor([0.003, 0.01, 0.03, 0.1, 0.4, 2.0])


@pytest.fixture(scope="module")
def model() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = nn.Conv2d(2, 3, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(27, 8), nn.Tanh()
        return nn.Sequential(*layers, nn.Linear(8, 3)).requires_grad_(False)


@pytest.fixture(scope="module")
def x() -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(6, 2, 5, 5, generator=generator) * (torch.rand(6, 2, 5, 5, generator=generator) < 0.5)
    x[2] = 0  # a black image
    return x


@pytest.mark.parametrize(
    "how",
    [{}, {"window": 3, "cost": 2.0}, {"window": 11}, {"domain": (0, 1)}, {"sharpness": 30.0}, {"prices": 8}],
    ids=str,
)
def test_no_attack_breaks_what_is_certified(model: nn.Module, x: torch.Tensor, how: dict) -> None:
    dual, labels, ball = autodual.compile_dual(model, x), model(x).argmax(1), autodual.WassersteinBall(_EPS, **how)
    goal, region = ClassMargin(labels), ball.at(x)
    found = autodual.certify(dual, x, ball, labels=labels)
    certified = torch.tensor([one.certified for one in found])
    assert certified.any()
    for attack in (FrankWolfe(10, restarts=2), Pgd(4)):
        points = attack.run(model, region, goal)
        assert not (counterexamples(model, region, goal, points) & certified).any()
        scores = model(points)
        others = scores.scatter(1, labels[:, None], -torch.inf).amax(1)
        margins = scores.gather(1, labels[:, None])[:, 0] - others
        assert all(one.margin <= float(margin) + 1e-5 for one, margin in zip(found, margins))


def test_a_union_and_another_specification(model: nn.Module, x: torch.Tensor) -> None:
    dual, labels = autodual.compile_dual(model, x), model(x).argmax(1)
    union = autodual.Union(autodual.WassersteinBall(0.03), autodual.LinfBall(0.01))
    alone = [autodual.certify(dual, x, member, labels=labels) for member in union.members()]
    for one, *parts in zip(autodual.certify(dual, x, union, labels=labels), *alone):
        assert one.certified == all(part.certified for part in parts)
    top = autodual.certify(dual, x, autodual.WassersteinBall(0.03), spec=TopK(labels, 2))
    assert all(two.certified for one, two in zip(alone[0], top) if one.certified)


def test_a_product_with_another_input(x: torch.Tensor) -> None:
    ball, other = autodual.WassersteinBall(0.1, window=3), autodual.LinfBall(0.2)
    both = autodual.ProductSet((ball, other), ((2, 5, 5), (4,)))
    vector = torch.rand(6, 4, generator=torch.Generator().manual_seed(2))
    rows = torch.randn(1, 3, 54, generator=torch.Generator().manual_seed(3))
    found = both.at(torch.cat([x.flatten(1), vector], 1)).extremes(rows, WholeView())
    parts = (ball.at(x).extremes(rows[..., :50].reshape(1, 3, 2, 5, 5), WholeView()),)
    parts += (other.at(vector).extremes(rows[..., 50:], WholeView()),)
    for ours, one, two in zip(found, *parts):
        torch.testing.assert_close(ours, one + two)
