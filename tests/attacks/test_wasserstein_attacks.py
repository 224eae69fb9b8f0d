"""Attacks on Wasserstein balls: whatever they give back lies in the ball, by a linear program of scipy's."""

from __future__ import annotations

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import autodual
from autodual.attacks import (
    Apgd,
    Attack,
    Fgsm,
    FrankWolfe,
    Mim,
    Msd,
    Pgd,
    ProjectedSinkhorn,
    RandomFgsm,
    RFgsm,
    Square,
    Standard,
    broken,
    evaluate,
)
from autodual.errors import InvalidInputError
from autodual.specs import ClassMargin
from tests.support.transport_programs import Plans

SHAPE = (2, 3, 4)
ATTACKS: dict[str, Attack] = {
    "frank-wolfe": FrankWolfe(steps=10),
    "restarts": FrankWolfe(steps=5, restarts=3, momentum=0.5),
    "corners": FrankWolfe(steps=5, share=0.2, start="scattered"),
    "line search": FrankWolfe(steps=5, line_search=True),
    "projected-sinkhorn": ProjectedSinkhorn(steps=2),
    "pgd": Pgd(steps=10),
    "pgd, fixed": Pgd(steps=10, step_size=0.3),
    "mim": Mim(steps=10),
    "apgd": Apgd(steps=30),
    "msd": Msd(steps=10),
    "square": Square(queries=30),
    "standard": Standard(steps=10, queries=10),
    "fgsm": Fgsm(),
    "random-fgsm": RandomFgsm(),
    "r-fgsm": RFgsm(),
}


def problem(seed: int, dtype: torch.dtype = torch.float32) -> tuple[nn.Module, Tensor, Tensor]:
    """A small network, images of which one has black pixels, and their classes."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Flatten(), nn.Linear(24, 16), nn.ReLU(), nn.Linear(16, 4)).to(dtype)
        x = torch.rand(3, *SHAPE, dtype=dtype)
        x[1] *= torch.rand(SHAPE) < 0.5
    return model.requires_grad_(False), x, model(x).argmax(1)


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
def test_every_point_lies_in_the_ball_by_a_linear_program(attack):
    model, x, labels = problem(0)
    region, plans = autodual.WassersteinBall(0.3, window=3).at(x), Plans.over(SHAPE, 3)
    points = attack.run(model, region, ClassMargin(labels))
    assert region.contains(points).all()
    for image, point, budget in zip(x.double().numpy(), points.double().numpy(), region.budget.tolist()):
        assert point.min() >= 0
        assert plans.cost(image, point, 1e-6) <= budget + 1e-6


@given(st.integers(0, 1000), st.sampled_from([3, 5, 7]), st.sampled_from([0.01, 0.3, 2.0]))
@settings(max_examples=8)
def test_frank_wolfe_stays_in_the_ball_and_helps(seed, window, eps):
    model, x, labels = problem(seed, torch.float64)
    region, plans, goal = autodual.WassersteinBall(eps, window).at(x), Plans.over(SHAPE, window), ClassMargin(labels)
    points = FrankWolfe(steps=15).run(model, region, goal)
    rows = goal.rows(model(x))
    assert (goal.margin_of(rows, model(points)) <= goal.margin_of(rows, model(x))).all()
    for image, point, budget in zip(x.numpy(), points.numpy(), region.budget.tolist()):
        assert plans.cost(image, point, 1e-9) <= budget + 1e-8


def test_frank_wolfe_reaches_the_linear_program_on_a_linear_network():
    x = problem(1, torch.float64)[1]
    weights = numpy.random.default_rng(0).normal(size=x[0].numel())
    model = nn.Sequential(nn.Flatten(), nn.Linear(24, 2, bias=False)).double().requires_grad_(False)
    model[1].weight.copy_(torch.tensor(numpy.stack([weights, 0 * weights])))
    region, plans = autodual.WassersteinBall(0.2).at(x), Plans.over(SHAPE, 5)
    points = FrankWolfe(steps=2).run(model, region, ClassMargin(torch.zeros(3, dtype=torch.long)))
    for image, point, budget in zip(x.numpy(), points.numpy(), region.budget.tolist()):
        assert weights @ point.ravel() == pytest.approx(-plans.greatest(-weights, image, budget), abs=1e-9)


def test_the_projection_free_attack_is_one_of_norm_balls_too():
    model, x, labels = problem(2)
    for ball in (autodual.LinfBall(0.2, (0, 1)), autodual.L2Ball(0.7), autodual.L1Ball(2.0, (0, 1))):
        region, goal = ball.at(x), ClassMargin(labels)
        points = FrankWolfe(steps=20).run(model, region, goal)
        rows = goal.rows(model(x))
        assert region.contains(points).all()
        assert (goal.margin_of(rows, model(points)) < goal.margin_of(rows, model(x))).all()


def test_samples_are_left_alone_from_the_radius_on_that_breaks_them():
    model, x, labels = problem(3)
    ball, shares = autodual.WassersteinBall(3.0, window=3), (0.01, 0.1, 0.3, 1.0)
    attacks = {"walk": FrankWolfe(steps=10), "search": Square(queries=10)}
    found = evaluate(model, x, ball, labels, attacks, shares=shares)
    curve = [resisting for _, resisting in found.curve()]
    assert curve == sorted(curve, reverse=True) and curve[-1] == 1 - found.robust_error
    assert any(sample.broken for sample in found)
    for sample, image, label in zip(found, x, labels):
        assert (sample.share is not None) == sample.broken
        if sample.share is not None:
            near = autodual.WassersteinBall(3.0 * sample.share, window=3).at(image[None])
            assert near.contains(sample.point[None]).all()
            before = [share for share in shares if share < sample.share]
            small = [autodual.WassersteinBall(3.0 * share, window=3).at(image[None]) for share in before]
            assert not any(broken(model, one, label[None], attacks["walk"]).any() for one in small)


@pytest.mark.parametrize("shares", [(), (0.5,), (0.5, 0.5, 1), (0.0, 1), (0.5, 1, 2)])
def test_shares_of_the_radius_grow_to_1(shares):
    model, x, labels = problem(3)
    with pytest.raises(InvalidInputError, match="must grow from above 0 to 1"):
        evaluate(model, x, autodual.WassersteinBall(0.1), labels, Fgsm(), shares=shares)


def test_the_projection_with_an_entropy_is_refused_elsewhere():
    model, x, labels = problem(3)
    with pytest.raises(InvalidInputError, match="balls without a domain, but the set is this: l2 ball"):
        ProjectedSinkhorn().run(model, autodual.L2Ball(0.1).at(x), ClassMargin(labels))


@pytest.mark.parametrize(
    ("options", "words"),
    [({"share": 0.0}, "share of the way"), ({"momentum": 2.0}, "momentum must be"), ({"steps": 0}, "steps")],
)
def test_frank_wolfe_refuses_options_out_of_range(options, words):
    with pytest.raises(InvalidInputError, match=words):
        FrankWolfe(**options)
