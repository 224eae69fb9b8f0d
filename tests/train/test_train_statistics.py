"""`statistics = "running"`: bounds and attacks in training are those of the network that inference would run."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as functional
from torch import Tensor, nn

import autodual
from autodual.network import DualNetwork
from autodual.train.losses import CrownIbp, IntervalBound, Loss, MtlIbp, Regularised, Robust, SmallBoxes

BALL = autodual.LinfBall(0.05, domain=(0, 1))
LOSSES = [
    IntervalBound(statistics="running"),
    CrownIbp(beta=0.5, statistics="running"),
    Robust(statistics="running"),
    SmallBoxes(steps=1, statistics="running"),
    MtlIbp(alpha=0.3, steps=1, statistics="running"),
    Regularised(IntervalBound(statistics="running"), 0.5),
]


@pytest.fixture(scope="module")
def problem() -> tuple[nn.Module, Tensor, Tensor]:
    torch.manual_seed(0)
    layers = [nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 5), nn.BatchNorm1d(5), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Linear(5, 3)).double()
    return model, torch.rand(8, 4, dtype=torch.float64), torch.arange(8) % 3


def trained(model: nn.Module, x: Tensor) -> tuple[nn.Module, DualNetwork]:
    model = copy.deepcopy(model)
    return model, autodual.compile_dual(model, x)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_the_loss_is_that_of_inference_after_the_clean_pass(problem, loss: Loss) -> None:
    model, x, labels = problem
    learning, dual = trained(model, x)
    other, inference = trained(model, x)
    found = loss(dual.train(), x, labels, BALL)
    other.train()(x)
    expected = loss(inference.eval(), x, labels, BALL)
    torch.testing.assert_close(found, expected)
    for name, buffer in other.named_buffers():
        torch.testing.assert_close(learning.get_buffer(name), buffer)
    found.backward()
    expected.backward()
    for one, another in zip(learning.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one.grad, another.grad)


def test_the_clean_part_stays_that_of_training(problem) -> None:
    model, x, labels = problem
    learning, dual = trained(model, x)
    expected = functional.cross_entropy(copy.deepcopy(learning).train()(x), labels)
    torch.testing.assert_close(IntervalBound(1.0, statistics="running")(dual.train(), x, labels, BALL), expected)


@pytest.mark.parametrize("statistics", ["batch", "running"])
def test_the_ends_of_alpha_are_the_interval_loss_and_the_attacked_one(problem, statistics) -> None:
    model, x, labels = problem
    mixed = MtlIbp(alpha=1.0, steps=1, statistics=statistics)
    ends = [mixed, IntervalBound(statistics=statistics), replace(mixed, alpha=0.0), replace(mixed, alpha=0.25)]
    whole, bound, attacked, quarter = (loss(trained(model, x)[1].train(), x, labels, BALL) for loss in ends)
    torch.testing.assert_close(whole, bound)
    torch.testing.assert_close(quarter, 0.25 * bound + 0.75 * attacked)
    assert attacked < bound


def test_attacks_may_begin_at_random_points(problem) -> None:
    model, x, labels = problem
    _, dual = trained(model, x)
    loss = MtlIbp(alpha=0.0, steps=1, step_size=0.1, start="uniform")
    first, second = (loss(dual.eval(), x, labels, BALL) for _ in range(2))
    assert first != second
    assert replace(loss, start="zero")(dual, x, labels, BALL) == replace(loss, start="zero")(dual, x, labels, BALL)
