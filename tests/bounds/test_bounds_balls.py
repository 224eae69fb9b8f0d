"""Balls around clean values hold what nodes can be, and make l2 bounds tighter, for one sample or many."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.effort import effort
from support.networks import node_values
from support.random_networks import RandomNetwork, networks
from support.random_sets import Subject, subjects
from torch import Tensor, nn

import autodual
from autodual.bounds import BoundState, prepare
from autodual.bounds.state.balls import ball as ball_of
from autodual.dual import Ball
from autodual.errors import InvalidInputError
from autodual.network import DualNetwork
from autodual.passes import RandomProjection, default_pipeline
from autodual.perturbations import Region, require_support


def _balls(dual: DualNetwork, region: Region) -> dict[str, Ball]:
    """By node, the ball of a rigorous computation."""
    compiled = dual.compiled(region.centre)
    plan, environment = compiled.plan, dual.environment(compiled, region.centre)
    options = replace(plan.options, slopes="adaptive", balls=True, rigorous=True, projection=None)
    state = BoundState(
        plan.graph, plan.rules, plan.bound_sites, environment, {plan.graph.inputs[0]: require_support(region)}, options
    )
    with torch.no_grad():
        prepare(state, plan.graph.outputs)
        return {node.name: ball_of(state, node.name) for node in plan.graph if node.name in state.layers}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@effort(15)
@given(st.data(), networks(), st.integers(0, 2**16))
def test_no_node_leaves_its_ball(dtype: torch.dtype, data: st.DataObject, model: RandomNetwork, seed: int) -> None:
    """Of all ops, over all sets, with values computed in float64."""
    subject: Subject = data.draw(subjects(model.shape))
    region, dual = subject.ball.at(subject.x), model.dual()
    assert isinstance(region, Region)
    found = _balls(dual, region.to(dtype))
    generator = torch.Generator().manual_seed(seed)
    points = torch.cat([region.sample(8, generator), region.corners(8, generator)])
    for place in range(points.shape[0]):
        for name, value in node_values(dual, points[place].double()).items():
            if name in found:
                ball = found[name]
                away = (value - ball.centre.double()).flatten(1).norm(dim=1)
                assert bool((away <= ball.radius * (1 + 1e-9) + 1e-12).all()), name


def _small(width: int = 40) -> tuple[nn.Sequential, Tensor]:
    torch.manual_seed(1)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 3)
    )
    return model.eval(), torch.rand(3, 1, 10, 10)


@pytest.mark.parametrize("slopes", ["shared", "adaptive", "optimized"])
def test_balls_tighten_every_slope_policy(slopes: autodual.policies.SlopePolicy) -> None:
    model, x = _small()
    dual, ball = autodual.compile_dual(model, x), autodual.L2Ball(2.0)
    rows = torch.tensor([[1.0, -1.0, 0.0], [0.0, 1.0, -1.0]])
    with torch.no_grad():
        plain, found = (dual.lower_bounds(x, ball, rows, slopes=slopes, balls=balls) for balls in (False, True))
        region = ball.at(x)
        points = torch.cat([region.corners(200), region.sample(200)])
        least = (model(points.flatten(0, 1)).unflatten(0, points.shape[:2]) @ rows.T).amin(0)
    assert bool((found <= least + 1e-5).all())
    gap = (found - least).abs().mean() / (plain - least).abs().mean()
    assert gap < 0.75  # of what the plain bounds leave, as measured with much room


def test_samples_do_not_see_each_other() -> None:
    model, x = _small()
    dual, ball, rows = autodual.compile_dual(model, x), autodual.L2Ball(1.0), torch.eye(3)
    together = dual.lower_bounds(x, ball, rows, slopes="adaptive", balls=True)
    alone = torch.cat([dual.lower_bounds(one[None], ball, rows, slopes="adaptive", balls=True) for one in x])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)


def test_efforts_use_balls_over_round_sets_alone() -> None:
    model, x = _small()
    dual = autodual.compile_dual(model, x)
    for ball, wanted in ((autodual.L2Ball(2.0), True), (autodual.LinfBall(0.2), False)):
        assert require_support(ball.at(x)).is_round() == wanted
        found = autodual.certify(dual, x, ball, effort="normal")
        assert any("in balls" in one.method for one in found) == wanted


def test_random_projections_need_linear_layers() -> None:
    model, x = _small()
    dual = autodual.compile_dual(model, x, passes=[*default_pipeline(), RandomProjection(20)])
    with pytest.raises(InvalidInputError, match="balls"):
        dual.lower_bounds(x, autodual.L2Ball(0.1), torch.eye(3), slopes="shared", balls=True)
