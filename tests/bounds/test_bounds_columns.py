"""Steps on columns of random projections that are written by hand, against formulas that autograd differentiates."""

from __future__ import annotations

import pytest
import torch
from support.projections import estimated_state
from torch import Tensor, nn

import autodual
from autodual import LinfBall
from autodual.bounds.projected import norm_estimates
from autodual.bounds.projected.chosen_units import chosen_units
from autodual.dual import relaxation
from autodual.dual.weighted_columns import weighted_columns
from autodual.measured import measured
from autodual.policies import Projection


def _numbers(*shape: int, seed: int = 0, channels_last: bool = False) -> Tensor:
    values = torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    if channels_last:
        values = values.flatten(0, -4).contiguous(memory_format=torch.channels_last).unflatten(0, shape[:-3])
    return values.requires_grad_()


def _plain_sum(weights: tuple[Tensor, ...], columns: tuple[Tensor, ...]) -> Tensor:
    first, *others = [weight * column for weight, column in zip(weights, columns)]
    return sum(others, first)


def _plain_choice(columns: Tensor, wanted: Tensor) -> Tensor:
    return columns.expand(-1, *wanted.shape)[:, wanted]


@pytest.mark.parametrize("block", [1, 40, 1 << 20])
@pytest.mark.parametrize("samples", [(4, 1), (4, 4), (1, 4), (1, 1)])
def test_weighted_columns_and_their_gradients(
    monkeypatch: pytest.MonkeyPatch, block: int, samples: tuple[int, int]
) -> None:
    monkeypatch.setattr(measured, "weighted_numbers", block)
    of_weights, of_columns = samples
    weights = [_numbers(of_weights, 2, 3, 3, seed=1), _numbers(4, 2, 3, 3, seed=2, channels_last=True)]
    columns = [_numbers(5, of_columns, 2, 3, 3, seed=3, channels_last=True), _numbers(5, 1, 2, 3, 3, seed=4)]
    along = _numbers(5, 4, 2, 3, 3, seed=5)
    found, expected = (of(weights, columns) for of in (weighted_columns, _plain_sum))
    torch.testing.assert_close(found, expected)
    inputs = [*weights, *columns]
    for one, other in zip(*(torch.autograd.grad(end, inputs, along) for end in (found, expected)), strict=True):
        torch.testing.assert_close(one, other)


def test_only_gradients_that_are_needed_are_computed() -> None:
    weights, columns = [_numbers(3, 2), _numbers(3, 2, seed=1).detach()], [_numbers(4, 1, 2).detach()] * 2
    total = weighted_columns(weights, columns)
    torch.testing.assert_close(torch.autograd.grad(total.sum(), weights[0])[0], columns[0].sum(0).expand_as(weights[0]))


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("channels_last", [False, True])
def test_units_are_chosen_and_gradients_put_back(samples: int, channels_last: bool) -> None:
    columns = _numbers(6, samples, 2, 4, 4, channels_last=channels_last)
    wanted = torch.rand(3, 2, 4, 4, generator=torch.Generator().manual_seed(1)) < 0.3
    for given in (columns, columns[1:4], columns[:, :, :, 1:], columns.transpose(3, 4)):
        mask = wanted[:, : given.shape[2], : given.shape[3]]
        found, expected = chosen_units(given, mask), _plain_choice(given, mask)
        assert torch.equal(found, expected)
        along = _numbers(*found.shape, seed=2)
        torch.testing.assert_close(
            torch.autograd.grad(found, columns, along)[0], torch.autograd.grad(expected, columns, along)[0]
        )
    assert chosen_units(columns, torch.zeros_like(wanted)).shape == (6, 0)


@pytest.mark.parametrize("channels_last", [False, True])
def test_a_projected_step_is_that_of_plain_formulas(monkeypatch: pytest.MonkeyPatch, channels_last: bool) -> None:
    """The same random columns, float64: bounds and gradients by all parameters and by the samples."""
    torch.manual_seed(0)
    layers = (nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 4, 4, 2, 1), nn.ReLU(), nn.Flatten())
    model = nn.Sequential(*layers, nn.Linear(64, 12), nn.ReLU(), nn.Linear(12, 3)).double()
    if channels_last:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    x = torch.rand(3, 1, 8, 8, dtype=torch.float64).requires_grad_()
    dual = autodual.compile_dual(model, x)
    objective = torch.randn(2, 3, dtype=torch.float64)

    def step() -> tuple[Tensor, ...]:
        _, found = estimated_state(dual, x, LinfBall(0.03), Projection(20), objective)
        assert found is not None
        return found.lower, *torch.autograd.grad(found.lower.square().sum(), [x, *model.parameters()])

    by_hand = step()
    monkeypatch.setattr(relaxation, "weighted_columns", _plain_sum)
    monkeypatch.setattr(norm_estimates, "chosen_units", _plain_choice)
    for one, other in zip(by_hand, step(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=1e-10)
