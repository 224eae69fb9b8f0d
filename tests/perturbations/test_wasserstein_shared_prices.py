"""Bounds of shared rows at a few prices: above linear programs, near them with many prices, and their derivatives."""

from __future__ import annotations

import torch
from support.transport_programs import Plans
from torch import Tensor

from autodual.perturbations.wasserstein.moves import Moves
from autodual.perturbations.wasserstein.shared_prices import gains_at_prices

_SHAPE, _WINDOW = (2, 3, 4), 5


def _images(seed: int, count: int) -> Tensor:
    return torch.rand(count, *_SHAPE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _bound(rows: Tensor, x: Tensor, budget: Tensor, prices: int) -> Tensor:
    still = x.flatten(1) @ rows.flatten(1).T
    return still + gains_at_prices(rows, x.flatten(1), budget, Moves(_WINDOW), prices)


def test_a_few_prices_bound_linear_programs_and_many_come_near() -> None:
    rows, x = 2 * _images(0, 4) - 1, _images(1, 3) * (_images(2, 3) > 0.4)
    for eps in (0.0, 0.03, 0.3, 5.0):
        budget = eps * x.flatten(1).sum(1)
        exact = torch.tensor(
            [
                [Plans.over(_SHAPE, _WINDOW).greatest(row.numpy(), image.numpy(), float(own)) for row in rows]
                for image, own in zip(x, budget)
            ],
            dtype=torch.float64,
        )
        few, many = (_bound(rows, x, budget, prices) for prices in (2, 2000))
        assert (few >= exact - 1e-9).all()
        assert (many >= exact - 1e-9).all()
        torch.testing.assert_close(many, exact, rtol=3e-3, atol=1e-9)


def test_without_a_budget_nothing_moves() -> None:
    rows, x = 2 * _images(3, 3) - 1, _images(4, 2)
    still = x.flatten(1) @ rows.flatten(1).T
    torch.testing.assert_close(_bound(rows, x, torch.zeros(2, dtype=torch.float64), 9), still)


def test_derivatives_are_those_at_the_best_of_the_prices() -> None:
    rows, x = 2 * _images(3, 3) - 1, _images(4, 2).requires_grad_()
    budget = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, budget: _bound(rows, x, budget, 9), (x, budget))
    # Prices follow the rows, and the bound's derivative holds them fixed: where mass is free, the best one is 0.
    ample, fixed = torch.full((2,), 1e3, dtype=torch.float64), x.detach()
    assert torch.autograd.gradcheck(lambda rows: _bound(rows, fixed, ample, 9), rows.requires_grad_())


def test_nan_in_a_row_comes_out() -> None:
    rows, x = _images(5, 2), _images(6, 2)
    rows[1, 0, 1, 1] = torch.nan
    found = _bound(rows, x, x.flatten(1).sum(1), 4)
    assert found[:, 0].isfinite().all()
    assert found[:, 1].isnan().all()
