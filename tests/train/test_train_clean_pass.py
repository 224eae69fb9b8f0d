"""Batch norm with the statistics of the clean batch: the bound holds for that network; off unless asked for."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as functional
from torch import Tensor, nn

import autodual
from autodual.errors import InvalidInputError
from autodual.train.clean_pass import clean_pass


def _network() -> nn.Module:
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 6)]
    return nn.Sequential(*layers, nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3)).double()


@pytest.fixture
def problem() -> tuple[nn.Module, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(8, 1, 4, 4, generator=generator, dtype=torch.float64)
    return _network(), x, torch.arange(8) % 3


def test_at_radius_zero_the_loss_is_that_of_training_mode(problem) -> None:
    model, x, labels = problem
    expected = functional.cross_entropy(copy.deepcopy(model).train()(x), labels)
    dual = autodual.compile_dual(model)
    ball = autodual.LinfBall(0.0)
    found = autodual.robust_loss(dual, x, labels, ball, batch_statistics=True)
    torch.testing.assert_close(found, expected)
    assert not torch.isclose(autodual.robust_loss(dual, x, labels, ball, batch_statistics=False), expected)


def test_running_statistics_learn_from_one_clean_pass(problem) -> None:
    model, x, labels = problem
    twin = copy.deepcopy(model).train()
    twin(x)
    dual = autodual.compile_dual(model.eval(), x)
    autodual.robust_loss(dual, x, labels, autodual.LinfBall(0.1), batch_statistics=True)
    for name, buffer in twin.named_buffers():
        torch.testing.assert_close(dict(model.named_buffers())[name], buffer)
    assert not any(module.training for module in model.modules())


def test_gradients_flow_through_the_statistics(problem) -> None:
    """At radius zero, the gradients of the parameters are those of training mode."""
    model, x, labels = problem
    twin = copy.deepcopy(model).train()
    functional.cross_entropy(twin(x), labels).backward()
    autodual.robust_loss(
        autodual.compile_dual(model), x, labels, autodual.LinfBall(0.0), batch_statistics=True
    ).backward()
    for found, expected in zip(model.parameters(), twin.parameters()):
        torch.testing.assert_close(found.grad, expected.grad, atol=1e-9, rtol=1e-7)


def test_the_bound_holds_for_the_network_with_the_statistics_of_the_batch(problem) -> None:
    model, x, labels = problem
    dual = autodual.compile_dual(model, x)
    ball = autodual.LinfBall(0.05)
    with torch.no_grad():
        statistics = clean_pass(model, x).statistics
        bound = autodual.robust_loss(dual, x, labels, ball, batch_statistics=True, reduction="none")
        fixed = copy.deepcopy(model).eval()
        for name, value in statistics.items():
            fixed.get_buffer(name).copy_(value)
        for points in ball.at(x).corners(100):
            assert bool((functional.cross_entropy(fixed(points), labels, reduction="none") <= bound + 1e-10).all())


def test_models_without_usable_batch_norms_are_refused(problem) -> None:
    _, x, labels = problem
    plain = autodual.compile_dual(nn.Sequential(nn.Flatten(), nn.Linear(16, 3)).double())
    with pytest.raises(InvalidInputError, match="batch norm that tracks"):
        autodual.robust_loss(plain, x, labels, autodual.LinfBall(0.1), batch_statistics=True)
    norm = nn.BatchNorm1d(16).double()
    twice = autodual.compile_dual(nn.Sequential(nn.Flatten(), norm, nn.ReLU(), norm, nn.Linear(16, 3).double()))
    with pytest.raises(InvalidInputError, match="used twice"):
        autodual.robust_loss(twice, x, labels, autodual.LinfBall(0.1), batch_statistics=True)
    with (
        pytest.raises(InvalidInputError, match="no parameter or buffer named 'scale'"),
        plain.substituting({"scale": x}),
    ):
        pass
