"""A slope policy that takes longer never gives looser bounds: optimized, adaptive, shared, on networks of every op."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.effort import effort
from support.random_networks import RandomNetwork, networks
from support.random_sets import Subject, subjects
from torch import Tensor, nn

import autodual
from autodual.dual.maximum import MaximumRule
from autodual.policies import SlopePolicy

POLICIES: tuple[SlopePolicy, ...] = ("shared", "adaptive", "optimized")


def _looser(tight: Tensor, loose: Tensor) -> Tensor:
    """Whether bounds `[N, S]` are looser than others by more than rounding; NaN proves nothing."""
    slack = 1e-9 * (1 + loose.abs())
    return loose.isfinite() & ~(tight >= loose - slack)


def _least(network: RandomNetwork, subject: Subject, slopes: SlopePolicy, **options) -> Tensor:
    rows = torch.tensor([[1.0, 0, 0], [0, 1, 0], [-1, 0, 1], [0.5, -2, 1]]).double()
    return network.dual().lower_bounds(subject.x, subject.ball, rows, slopes=slopes, steps=6, inner_steps=3, **options)


@effort(14)
@given(st.data(), networks(kind="any", most_layers=5))
def test_no_policy_is_looser_than_a_simpler_one(data: st.DataObject, network: RandomNetwork) -> None:
    """Where an op's own range contains its bounds: shared slopes of rectified linear units alone are the thesis'."""
    subject = data.draw(subjects(network.shape))
    found = [_least(network, subject, slopes) for slopes in POLICIES]
    assert not _looser(found[2], found[1]).any()
    contains = network.dual().compiled(subject.x).plan.contains
    assert not (contains and _looser(found[1], found[0]).any())


@effort(14)
@given(st.data(), networks(kind="any", most_layers=5))
def test_over_the_same_intervals_no_policy_is_looser_than_a_simpler_one(
    data: st.DataObject, network: RandomNetwork
) -> None:
    subject = data.draw(subjects(network.shape))
    given_intervals = network.dual().bounds(subject.x, subject.ball, slopes="adaptive")
    rigorous = data.draw(st.booleans())
    found = [_least(network, subject, slopes, given=given_intervals, rigorous=rigorous) for slopes in POLICIES]
    assert not _looser(found[1], found[0]).any() and not _looser(found[2], found[1]).any()


class _Choice(nn.Module):
    """A step followed by a choice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.left, self.right, self.last = (nn.Linear(*size) for size in ((4, 8), (8, 8), (8, 8), (8, 2)))

    def forward(self, x: Tensor) -> Tensor:
        steps = self.first(x).sign()
        return self.last(torch.maximum(self.left(steps), self.right(steps)).sigmoid())


@pytest.mark.parametrize("seed", range(2))
def test_a_step_followed_by_a_choice(seed: int) -> None:
    torch.manual_seed(seed)
    dual = autodual.compile_dual(_Choice().double())
    x, rows = torch.randn(8, 4).double(), torch.cat([torch.eye(2), -torch.eye(2)]).double()
    shared, adaptive = (
        dual.lower_bounds(x, autodual.LinfBall(0.2), rows, slopes=slopes) for slopes in ("shared", "adaptive")
    )
    assert bool((adaptive >= shared - 1e-12).all()) and bool((adaptive > shared + 1e-3).any())


class _Surest(MaximumRule):
    """Below a maximum: the branch with the highest lower bound."""

    def adaptive(self, op, bounds, environment):
        lines = super().adaptive(op, bounds, environment)
        ends = torch.stack([bound.lower for bound in bounds])
        surest = nn.functional.one_hot(ends.argmax(0), len(bounds)).movedim(-1, 0).to(ends)
        surest = torch.where(self.undecided(op, bounds, environment), surest, torch.stack(lines.lower_slopes))
        return replace(lines, lower_slopes=tuple(surest.unbind(0)))

    def others(self, op, bounds, environment):
        return [self.parallel(op, bounds, environment)]


@pytest.mark.parametrize("seed", range(2))
def test_maxima_behind_rectified_units_take_the_better_branch_below(seed: int) -> None:
    """The branch with the highest centre, or that with the highest lower bound: which is better depends on the row."""
    torch.manual_seed(seed)
    pooled = (nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3, padding=1), nn.ReLU())
    model = nn.Sequential(*pooled, nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 3)).double()
    x, ball, rows = torch.rand(8, 1, 8, 8).double(), autodual.LinfBall(0.1), torch.cat([torch.eye(3), -torch.eye(3)])
    dual = autodual.compile_dual(model)
    intervals = dual.bounds(x, ball, slopes="adaptive")
    found = dual.lower_bounds(x, ball, rows.double(), slopes="adaptive", given=intervals)
    plan = dual.compiled(x).plan
    swapped = {name: _Surest() if isinstance(rule, MaximumRule) else rule for name, rule in plan.rules.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(vars(plan), "rules", swapped)
        surest = dual.lower_bounds(x, ball, rows.double(), slopes="adaptive", given=intervals)
    assert not _looser(found, surest).any() and bool((found > surest + 1e-3).any())
