"""Attacks on unions: each member by itself, or all at once by multi steepest descent."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import autodual
from autodual.attacks import (
    Adaptive,
    Ascent,
    CrossEntropy,
    Fgsm,
    Fixed,
    Momentum,
    Msd,
    Natural,
    Pgd,
    WorstMember,
    attack_members,
    broken,
    counterexamples,
)
from autodual.errors import InvalidInputError
from autodual.specs import ClassMargin

BALLS = (autodual.LinfBall(0.15), autodual.L2Ball(0.33), autodual.L1Ball(0.55, (-3, 3)))
UNION = autodual.Union(*BALLS)


@pytest.fixture(scope="module")
def model() -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3)).double().eval()
    with torch.no_grad():
        for layer in model[::2]:
            layer.weight *= 2
        model[-1].bias -= model(torch.randn(500, 6, dtype=torch.float64)).mean(0)  # so that every class wins somewhere
    return model


@pytest.fixture(scope="module")
def x() -> Tensor:
    return torch.randn(60, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).clamp(-3, 3)


def _margin(model: nn.Module, goal: ClassMargin, x: Tensor, points: Tensor) -> Tensor:
    with torch.no_grad():
        return goal.margin(goal.rows(model(x)).values(model(points)))


@pytest.mark.parametrize("attack", [Fgsm(), Pgd(steps=8, restarts=2)])
def test_the_worst_point_of_the_members_counts(model: nn.Module, x: Tensor, attack) -> None:
    goal = ClassMargin(model(x).argmax(1))
    found = attack_members(attack, model, UNION.at(x), goal)
    single = [attack.run(model, ball.at(x), goal) for ball in BALLS]
    margins = torch.stack([_margin(model, goal, x, points) for points in single])
    assert torch.equal(_margin(model, goal, x, found), margins.amin(0))
    assert len(margins.argmin(0).unique()) > 1 and UNION.at(x).contains(found).all()


def test_multi_steepest_descent_stays_in_the_union_and_finds_what_the_members_do(model: nn.Module, x: Tensor) -> None:
    goal, region = ClassMargin(model(x).argmax(1)), UNION.at(x)
    found = Msd(steps=30).run(model, region, goal)
    assert region.contains(found).all()
    single = torch.stack([_margin(model, goal, x, Pgd(steps=30).run(model, ball.at(x), goal)) for ball in BALLS])
    reached = _margin(model, goal, x, found)
    assert (reached < single + 0.02).double().mean(1).min() > 0.9, "about as bad as each member's own attack"
    assert torch.equal(attack_members(Msd(steps=30), model, region, goal), found)
    flips = int(counterexamples(model, region, goal, found).sum())
    assert flips >= int((single < 0).any(0).sum()) - 1 > 0


def test_outside_unions_multi_steepest_descent_is_projected_gradient_descent(model: nn.Module, x: Tensor) -> None:
    goal = ClassMargin(model(x).argmax(1))
    for ball in BALLS:
        found = Msd(steps=5).run(model, ball.at(x), goal)
        torch.testing.assert_close(found, Pgd(steps=5).run(model, ball.at(x), goal))


def test_multi_steepest_descent_finds_the_member_with_the_worst_point() -> None:
    """The margin 2 − z₀ − z₁ is at least 1 in the l1 ball, but 0.8 at a corner of the l∞ ball."""
    x = torch.zeros(1, 2, dtype=torch.float64)
    union = autodual.Union(autodual.L1Ball(1.0), autodual.LinfBall(0.6))

    def function(z: Tensor) -> Tensor:
        return torch.stack([2 - z.sum(1), torch.zeros(len(z), dtype=z.dtype)], 1)

    goal = ClassMargin(torch.tensor([0]))
    found = Msd(steps=10).run(function, union.at(x), goal)
    torch.testing.assert_close(found, torch.full_like(x, 0.6), atol=1e-9, rtol=0)


def test_any_objective_step_and_size_take_the_worst_member(model: nn.Module, x: Tensor) -> None:
    goal, region = ClassMargin(model(x).argmax(1)), UNION.at(x)
    for step, size in ((Natural(), Adaptive()), (Momentum(), Fixed(0.2))):
        ascent = Ascent(objective=CrossEntropy(), step=WorstMember(step), size=size, steps=12, keep="first")
        found = ascent.run(model, region, goal)
        assert region.contains(found).all()
        assert counterexamples(model, region, goal, found).any()


def test_multi_steepest_descent_is_deterministic_and_takes_restarts(model: nn.Module, x: Tensor) -> None:
    goal, region = ClassMargin(model(x).argmax(1)), UNION.at(x)
    one, again = (Msd(steps=3, restarts=3, seed=4).run(model, region, goal) for _ in range(2))
    assert torch.equal(one, again)
    first = _margin(model, goal, x, Msd(steps=3).run(model, region, goal))
    assert (_margin(model, goal, x, one) <= first).all()


def test_nan_scores_do_not_drive_points_out_of_the_union(x: Tensor) -> None:
    def broken_function(z: Tensor) -> Tensor:
        return torch.stack([z[:, 0] * torch.nan, z[:, 1]], 1)

    goal = ClassMargin(torch.zeros(len(x), dtype=torch.long))
    found = Msd(steps=2).run(broken_function, UNION.at(x), goal)
    assert UNION.at(x).contains(found).all()
    assert not counterexamples(broken_function, UNION.at(x), goal, found).any()


def test_a_sample_is_broken_in_a_union_where_it_is_in_any_member(model: nn.Module, x: Tensor) -> None:
    labels, attack = model(x).argmax(1), Pgd(steps=8)
    single = torch.stack([broken(model, ball.at(x), labels, attack) for ball in BALLS])
    assert torch.equal(broken(model, UNION.at(x), labels, attack), single.any(0))


@pytest.mark.parametrize("options", [{"steps": 0}, {"restarts": 0}, {"step_size": 0.0}, {"step_size": float("nan")}])
def test_senseless_options_are_refused(options: dict) -> None:
    with pytest.raises(InvalidInputError):
        Msd(**options)
