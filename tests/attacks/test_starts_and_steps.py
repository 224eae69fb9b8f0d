"""Starts and steps: how far they reach, that they stay inside the set, and that the steepest step is steepest."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from autodual.attacks import (
    STARTS,
    Adaptive,
    AdaptiveSparse,
    Apgd,
    Ascent,
    CrossEntropy,
    Euclidean,
    Fixed,
    Given,
    Momentum,
    Outward,
    Previous,
    RandomFgsm,
    RFgsm,
    Sign,
    SparseL1,
    SparseSteepest,
    Square,
    Steepest,
)
from autodual.attacks.ascent_state import State
from autodual.errors import InvalidInputError
from autodual.perturbations import L1Ball, L2Ball, LinfBall, ProductSet, Union
from autodual.specs import ClassMargin
from tests.support.random_sets import subjects

EPS = 0.25


def linear(z: Tensor) -> Tensor:
    """Two classes, whose gradients are nowhere zero."""
    weight = torch.randn(2, z.shape[1], dtype=z.dtype, generator=torch.Generator().manual_seed(0))
    return z @ weight.T


def moved(attack) -> Tensor:
    """|δ| / ε of 200 × 100 features that begin at 0, so that x + δ is not rounded."""
    x = torch.zeros(200, 100, dtype=torch.float64)
    points = attack.run(linear, LinfBall(EPS).at(x), ClassMargin([0] * 200))
    return (points - x).abs() / EPS


@pytest.mark.parametrize(("size", "mean", "ends"), [(1.0, 0.75, 0.5), (1.25, 0.859375, 0.625), (2.0, 1.0, 1.0)])
def test_how_far_one_step_from_a_uniform_start_reaches(size: float, mean: float, ends: float) -> None:
    """From U(−ε, ε), a step of length a ends at ε with probability a / 2ε, else uniformly between a − ε and ε."""
    found = moved(RandomFgsm(step_size=size))
    assert float(found.mean()) == pytest.approx(mean, abs=0.005)
    assert float((found == 1).double().mean()) == pytest.approx(ends, abs=0.012)


def test_half_a_step_from_a_corner_of_half_the_cube_ends_at_the_middle_or_the_edge() -> None:
    found = moved(RFgsm())
    assert set(found.unique().tolist()) == {0.0, 1.0}
    assert float(found.mean()) == pytest.approx(0.5, abs=0.012)


def test_uniform_starts_have_uniform_features_and_lengths() -> None:
    generator, x = torch.Generator().manual_seed(0), torch.zeros(4000, 3, dtype=torch.float64)
    cube = STARTS["uniform"].points(LinfBall(2.0).at(x), generator)
    assert float(cube.abs().mean()) == pytest.approx(1, abs=0.03)
    length = STARTS["uniform"].points(L2Ball(2.0).at(x), generator).norm(dim=1)
    assert float(length.mean()) == pytest.approx(1, abs=0.03)


@settings(max_examples=40)
@given(subjects((2, 3)), st.sampled_from(sorted(STARTS)), st.booleans(), st.integers(0, 99))
def test_starts_are_inside(subject, name: str, single: bool, seed: int) -> None:
    x = subject.x.float() if single else subject.x
    try:
        region = subject.ball.at(x)
    except InvalidInputError:  # in single precision an end of a tiny box may cross the other
        return
    points = STARTS[name].points(region, torch.Generator().manual_seed(seed))
    assert points.dtype == x.dtype
    assert region.contains(points).all()


def test_given_points_and_offsets_are_brought_inside() -> None:
    region = L2Ball(1.0, (0, 1)).at(torch.zeros(2, 3))
    generator = torch.Generator()
    far = torch.tensor([[0.5, 0, 0], [4.0, -3.0, 0]])
    expected = torch.tensor([[0.5, 0, 0], [1.0, 0, 0]])
    torch.testing.assert_close(Given(far).points(region, generator), expected)
    torch.testing.assert_close(Previous(torch.cat([far, far])).points(region, generator), expected)
    with pytest.raises(InvalidInputError, match=r"must have the shape \[2, 3\]"):
        Given(far[:1]).points(region, generator)
    with pytest.raises(InvalidInputError, match="or more samples"):
        Previous(far[:1]).points(region, generator)


@settings(max_examples=30)
@given(subjects((2, 3)), st.integers(0, 99))
def test_no_point_of_the_ball_is_steeper_than_the_steepest_step(subject, seed: int) -> None:
    region, generator = subject.ball.at(subject.x), torch.Generator().manual_seed(seed)
    gradient = torch.randn(subject.x.shape, generator=generator, dtype=torch.float64)
    best = (region.steepest(gradient) * gradient).flatten(1).sum(1)
    sampled = (region.sample(300, generator) * gradient).flatten(2).sum(2).amax(0)
    # Cut to a domain, the steepest point is merely near the maximiser.
    slack = 0.15 if "clipped to" in subject.ball.describe() else 1e-9
    width = sampled - (region.steepest(-gradient) * gradient).flatten(1).sum(1)
    assert (best >= sampled - slack * width.abs() - 1e-9).all()


def step(kind, region, gradient: Tensor, points: Tensor | None = None) -> Tensor:
    points = region.centre if points is None else points
    return kind.move(region, gradient, State(points, 1, torch.Generator().manual_seed(1)))


def test_steps_have_the_length_of_the_radius_or_unit_length() -> None:
    x, gradient = torch.zeros(3, 60).double(), torch.randn(3, 60, dtype=torch.float64)
    radii = torch.tensor([0.5, 1.0, 2.0]).double()
    for ball, kind, order in [
        (LinfBall(radii), Sign, math.inf),
        (L2Ball(radii), Euclidean, 2),
        (L1Ball(radii), SparseL1, 1),
    ]:
        region = ball.at(x)
        torch.testing.assert_close(step(kind(), region, gradient).norm(order, 1), radii)
        raw = torch.full((3,), 20.0 if kind is SparseL1 else 1.0).double()
        torch.testing.assert_close(step(kind(raw=True), region, gradient).norm(order, 1), raw)
        assert (step(kind(), region, torch.zeros_like(gradient)) == 0).all()
    assert (step(Steepest(), L2Ball(1.0).at(x), torch.zeros_like(gradient)) == 0).all()


def test_sparse_steps_move_the_largest_features_that_are_free() -> None:
    x = torch.zeros(1, 40).double()
    x[0, :10] = 1
    gradient = torch.arange(40, 0, -1).double()[None]
    region = L1Ball(5.0, (0, 1)).at(x)
    move = step(SparseL1(7, 7), region, gradient)
    torch.testing.assert_close(move[0, 10:17], torch.full((7,), 5 / 7).double())
    assert int((move != 0).sum()) == 7


def test_fifty_sparse_steps_reach_an_l1_radius_of_twelve() -> None:
    x = torch.zeros(2, 784).double()
    region = L1Ball(12.0, (0, 1)).at(x)
    attack = Ascent(objective=CrossEntropy(), step=SparseL1(raw=True), size=Fixed(0.05), steps=50)
    points = attack.run(linear, region, ClassMargin([0, 1]))
    assert region.contains(points).all()
    assert (points.sum(1) > 11.99).all()


@pytest.mark.parametrize("ball", [L2Ball(0.3, (0, 1)), L1Ball(0.5), LinfBall(0.1)], ids=repr)
def test_wide_ascents_look_beyond_the_ball_and_come_back(ball) -> None:
    """Only the first three fifths of the steps are taken outside, and only where there is a larger ball."""
    x = torch.full((20, 30), 0.5, dtype=torch.float64)
    region, tried = ball.at(x), []

    def plateau(z: Tensor) -> Tensor:
        tried.append(z.detach())
        return torch.stack([z.new_full((len(z),), 1.0), (z - x[: len(z)]).sum(1).relu() * 0.1], 1)

    points = Apgd(40).run(plateau, region, ClassMargin([0] * 20))
    assert region.contains(points).all()
    beyond = [not bool(region.contains(z).all()) for z in tried[1:]]
    round_ = not isinstance(ball, LinfBall)
    assert any(beyond) == round_
    assert all(region.enlarged(3).contains(z).all() for z in tried[1:])
    assert not any(beyond[26:])  # two phases of twelve gradients, and a last evaluation
    for inner in (Apgd(20), Apgd(40, wide=False)):
        tried.clear()
        inner.run(plateau, region, ClassMargin([0] * 20))
        assert all(region.contains(z).all() for z in tried[1:])


def test_steps_in_products_are_as_long_as_each_factors_radius() -> None:
    product = ProductSet((LinfBall(0.5), L2Ball(2.0), L1Ball(3.0, (0, 9))), ((2,), (2,), (3,)))
    region = product.at(torch.ones(1, 7).double())
    gradient = torch.tensor([[3.0, -1.0, 3.0, 4.0, 5.0, -7.0, 1.0]]).double()
    torch.testing.assert_close(step(Sign(), region, gradient)[0, :4].abs(), torch.tensor([0.5, 0.5, 2.0, 2.0]).double())
    lengths = step(Euclidean(), region, gradient)[0].split([2, 2, 3])
    torch.testing.assert_close(torch.stack([one.norm() for one in lengths]), torch.tensor([0.5, 2.0, 3.0]).double())
    sparse = step(SparseL1(1, 1), region, gradient)
    torch.testing.assert_close(sparse, torch.tensor([[0.5, 0, 0, 2.0, 0, -3.0, 0]]).double())
    start = STARTS["uniform"].points(region, torch.Generator().manual_seed(0))
    assert region.contains(start).all()
    assert (start != region.centre)[0, :4].all()


def test_products_are_stepped_in_each_parts_own_geometry() -> None:
    product = ProductSet((LinfBall(0.5), L2Ball(2.0), None), ((2,), (2,), (1,)))
    region = product.at(torch.zeros(1, 5).double())
    gradient = torch.tensor([[3.0, -1.0, 3.0, 4.0, 1.0]]).double()
    expected = torch.tensor([[0.5, -0.5, 1.2, 1.6, 0.0]]).double()
    torch.testing.assert_close(step(Steepest(), region, gradient), expected)


@pytest.mark.parametrize(
    "size", [Fixed(0.5), Adaptive(), AdaptiveSparse(checks=4)], ids=lambda size: type(size).__name__
)
@pytest.mark.parametrize("step", [Steepest(), Sign(), SparseL1(1, 3), SparseSteepest(), Momentum()], ids=repr)
def test_every_step_goes_with_every_size(step, size) -> None:
    x = torch.rand(3, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    goal = ClassMargin([0] * 3)
    for region in (L1Ball(0.3, (0, 1)).at(x), LinfBall(0.1).at(x)):
        points = Ascent(step=step, size=size, steps=30).run(linear, region, goal)
        before, reached, least = (
            goal.margin_of(goal.rows(linear(x)), linear(z))
            for z in (x, points, region.steepest(linear_gradient().expand_as(x)))
        )
        assert region.contains(points).all()
        assert (before - reached > 0.6 * (before - least)).all()


def linear_gradient() -> Tensor:
    """Of the second class's score over the first's, by six features."""
    return linear(torch.eye(6, dtype=torch.float64)).diff(dim=1).T


def test_sparse_steps_count_more_features_than_half_precision_can() -> None:
    x = torch.full((1, 70_000), 0.5, dtype=torch.float16)
    region = L1Ball(4.0, (0, 1)).at(x)

    def scores(z: Tensor) -> Tensor:
        return torch.stack([z[:, :8].sum(1), z[:, 8:16].sum(1)], 1)

    points = Apgd(6).run(scores, region, ClassMargin([0]))
    assert region.contains(points).all()
    assert float(scores(points).diff(dim=1)) > 3.5  # the radius is 4, and a feature may move by 0.5


def test_a_search_without_gradients_goes_on_from_scores_that_are_nan() -> None:
    x = torch.zeros(1, 8, dtype=torch.float64)
    asked = []

    def scores(z: Tensor) -> Tensor:
        asked.append(len(z))
        sums = z.sum(1, keepdim=True)
        return torch.cat([sums, -sums], 1) * (torch.nan if len(asked) == 2 else 1)

    points = Square(200, keep="worst").run(scores, LinfBall(1.0).at(x), ClassMargin([0]))
    assert torch.equal(points, -torch.ones_like(x))


def test_outward_starts_lie_at_the_edge_of_balls_that_the_domain_cuts() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.tensor([[0.0, 1.0, 0.5, 0.0, 0.2, 0.9]]).expand(50, -1)
    points = Outward().points(L2Ball(0.3, (0, 1)).at(x), generator)
    torch.testing.assert_close((points - x).norm(dim=1), torch.full((50,), 0.3), rtol=1e-5, atol=0)
    assert ((points >= 0) & (points <= 1)).all() and len(points.unique(dim=0)) == 50


def test_restarts_go_outward_in_one_member_of_a_union_after_the_other() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.full((4, 9), 0.5)
    union = Union(LinfBall(0.1), L2Ball(0.4), L1Ball(1.0)).at(x)
    reached = [(Outward().turn(turn).points(union, generator) - x).norm(dim=1) for turn in range(4)]
    torch.testing.assert_close(reached[1], torch.full((4,), 0.4), rtol=1e-5, atol=0)
    assert (reached[0] <= 0.3).all() and (reached[3] <= 0.3).all() and (reached[2] >= 1 / 3 - 1e-6).all()
