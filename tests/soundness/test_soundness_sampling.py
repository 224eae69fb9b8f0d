"""No value on the set lies below a lower bound or outside an interval: random networks, sets, points and attacks."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.bound_ways import WAYS
from support.effort import effort
from support.networks import node_values
from support.random_networks import RandomNetwork, networks
from support.random_sets import Subject, subjects
from torch import Tensor

from autodual.attacks import Pgd
from autodual.interval import Interval
from autodual.perturbations import LinfBall, Region
from autodual.policies import SlopePolicy
from autodual.specs import HalfSpaces

#: Allowed for rounding in float64, relative to the magnitude of the bounds.
ROUNDING = 1e-10


def _points(region: Region, seed: int) -> Tensor:
    """Random, extreme and middle points `[P, N, *shape]` of a region."""
    generator = torch.Generator().manual_seed(seed)
    middle = region.project(region.centre).unsqueeze(0)
    return torch.cat([middle, region.sample(24, generator), region.corners(24, generator)])


def _enclosed(values: Tensor, interval: Interval) -> None:
    """Values `[P, N, *shape]` lie in the interval `[N, *shape]`, up to rounding."""
    slack = ROUNDING * (1 + interval.magnitude)
    assert not interval.lower.isnan().any() and not interval.upper.isnan().any()
    assert bool((values >= interval.lower - slack).all()), float((interval.lower - values).max())
    assert bool((values <= interval.upper + slack).all()), float((values - interval.upper).max())


@pytest.mark.parametrize("way", WAYS)
@effort(60)
@given(st.data(), networks(), st.integers(0, 2**16))
def test_no_point_of_the_set_falls_outside_a_bound(
    way: str, data: st.DataObject, model: RandomNetwork, seed: int
) -> None:
    """Bounds of random objectives, and the dual interval of every bound site, at sampled and extreme points."""
    subject: Subject = data.draw(subjects(model.shape))
    dual, x = model.dual(), subject.x
    objective = torch.randn(4, 3, dtype=x.dtype, generator=torch.Generator().manual_seed(seed))
    found = Interval(
        dual.lower_bounds(x, subject.ball, objective, **WAYS[way]),
        dual.upper_bounds(x, subject.ball, objective, **WAYS[way]),
    )
    points = _points(subject.ball.at(x), seed)
    values = node_values(dual, points.flatten(0, 1))
    outputs = values[dual.plan.graph.outputs[0]].reshape(*points.shape[:2], -1)
    _enclosed(outputs @ objective.T, found)
    sites = dual(x, subject.ball, objective, sites=True, **WAYS[way]).intervals
    assert sites.keys() == set(dual.plan.sites)
    for site, interval in sites.items():
        _enclosed(values[site].reshape(*points.shape[:2], *interval.shape[1:]), interval)


@pytest.mark.parametrize("slopes", ["shared", "adaptive", "optimized"])
@effort(40)
@given(st.data(), networks(most_layers=4), st.integers(0, 2**16))
def test_no_attack_gets_below_a_bound(
    slopes: SlopePolicy, data: st.DataObject, model: RandomNetwork, seed: int
) -> None:
    """By projected gradient descent on one objective for all samples."""
    subject: Subject = data.draw(subjects(model.shape))
    dual, x = model.dual(), subject.x
    objective = torch.randn(1, 3, dtype=x.dtype, generator=torch.Generator().manual_seed(seed))
    lower = dual.lower_bounds(x, subject.ball, objective, slopes=slopes)
    property_ = HalfSpaces(objective, torch.zeros(1, dtype=x.dtype))
    points = Pgd(steps=12, restarts=2, seed=seed).run(dual.outputs, subject.ball.at(x), property_)
    reached = dual.outputs(points) @ objective.T
    assert bool((reached >= lower - ROUNDING * (1 + lower.abs())).all()), float((lower - reached).max())


@effort(60)
@given(st.data(), networks())
def test_intervals_and_dual_bounds_together_are_no_worse_than_intervals(
    data: st.DataObject, model: RandomNetwork
) -> None:
    """Every bound with adaptive slopes or inner intervals is intersected with interval arithmetic."""
    subject: Subject = data.draw(subjects(model.shape))
    dual, identity = model.dual(), torch.eye(3, dtype=subject.x.dtype)
    interval = dual.lower_bounds(subject.x, subject.ball, identity, **WAYS["interval"])
    for way in ("adaptive", "optimized", "interval inside, adaptive", "interval inside, shared"):
        found = dual.lower_bounds(subject.x, subject.ball, identity, **WAYS[way])
        assert bool((found >= interval - ROUNDING * (1 + interval.abs())).all())


@effort(60)
@given(st.data(), networks(), st.sampled_from(["shared", "adaptive", "optimized"]))
def test_a_ball_of_radius_zero_gives_the_network_itself(
    data: st.DataObject, model: RandomNetwork, slopes: SlopePolicy
) -> None:
    x = data.draw(subjects(model.shape)).x
    dual, identity = model.dual(), torch.eye(3, dtype=x.dtype)
    expected = dual.outputs(x)
    close = {"atol": 1e-9, "rtol": 1e-9}
    torch.testing.assert_close(dual.lower_bounds(x, LinfBall(0), identity, slopes=slopes), expected, **close)
    torch.testing.assert_close(dual.upper_bounds(x, LinfBall(0), identity, slopes=slopes), expected, **close)
