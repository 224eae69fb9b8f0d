"""Surrogates of Wasserstein balls: outside the exact extremes, near them where asked, over windows and in training."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import autodual
from autodual.bounds.state.kept_bytes import Ledger
from autodual.errors import InvalidInputError
from autodual.perturbations import WholeView

_FINE = {"sharpness": 1e6, "prices": 1000}


def _random(seed: int, *shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("options", [{"sharpness": 20.0}, {"prices": 3}, {"sharpness": 5.0, "prices": 8}, _FINE])
@pytest.mark.parametrize("groups", [1, 3])
def test_extremes_lie_outside_the_exact_ones(options: dict[str, float], groups: int) -> None:
    x = _random(0, 3, 2, 4, 5) * (_random(1, 3, 2, 4, 5) > 0.5)
    rows = 2 * _random(2, groups, 4, 2, 4, 5) - 1
    exact, surrogate = (
        autodual.WassersteinBall(0.1, window=3, **given).at(x).extremes(rows, WholeView()) for given in ({}, options)
    )
    assert (surrogate[0] <= exact[0] + 1e-9).all()
    assert (surrogate[1] >= exact[1] - 1e-9).all()
    if options is _FINE:
        torch.testing.assert_close(surrogate, exact, rtol=3e-3, atol=1e-4)


def test_windows_of_a_convolution_are_bounded_as_whole_rows_are() -> None:
    torch.manual_seed(0)
    layers = nn.Conv2d(1, 2, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(2, 2, 3, padding=1), nn.ReLU()
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(32, 2)).double()
    dual, x, identity = autodual.compile_dual(model), _random(3, 2, 1, 8, 8), torch.eye(2, dtype=torch.float64)
    exact, fine, rough = (
        dual.lower_bounds(x, autodual.WassersteinBall(0.05, **given), identity)
        for given in ({}, _FINE, {"sharpness": 50.0})
    )
    torch.testing.assert_close(fine, exact, rtol=1e-3, atol=1e-3)
    assert (rough < exact).all()


@pytest.mark.parametrize("options", [{}, {"sharpness": 20.0}, {"prices": 4}, {"prices": 40}])
def test_what_derivatives_keep_is_counted(options: dict[str, float], monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that all samples share, and rows of their own, against the tensors that autograd saves."""
    counted, saved, keep = [], {}, Ledger.keep
    monkeypatch.setattr(Ledger, "keep", lambda ledger, size: (counted.append(size), keep(ledger, size))[1])

    def save(tensor: torch.Tensor) -> torch.Tensor:
        saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 30), nn.ReLU(), nn.Linear(30, 2))
    dual, x, ball = autodual.compile_dual(model), torch.rand(12, 1, 8, 8), autodual.WassersteinBall(0.05, **options)
    with torch.autograd.graph.saved_tensors_hooks(save, lambda tensor: tensor):
        bounds = dual.lower_bounds(x, ball, torch.eye(2))
    assert bounds.requires_grad
    assert sum(saved.values()) <= sum(counted)


def test_a_robust_loss_is_bounded_and_differentiable() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 6), nn.ReLU(), nn.Linear(6, 3)).double()
    dual, x, labels = autodual.compile_dual(model), _random(4, 4, 1, 4, 4), torch.arange(4) % 3
    found = []
    for given in ({}, _FINE, {"prices": 8}, {"sharpness": 30.0}):
        model.zero_grad()
        loss = autodual.robust_loss(dual, x, labels, autodual.WassersteinBall(0.05, **given))
        loss.backward()
        assert all(weight.grad.isfinite().all() and weight.grad.any() for weight in model.parameters())
        found.append(loss.detach())
    torch.testing.assert_close(found[1], found[0], rtol=1e-3, atol=0.0)
    assert all(loss >= found[0] for loss in found[2:])


@pytest.mark.parametrize("options", [{"sharpness": -1.0}, {"sharpness": float("nan")}, {"prices": 1}, {"prices": 2.5}])
def test_options_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(InvalidInputError, match=next(iter(options))):
        autodual.WassersteinBall(0.1, **options)


def test_the_set_says_how_it_is_bounded() -> None:
    assert "prices" not in autodual.WassersteinBall(0.1).settings()
    assert autodual.WassersteinBall(0.1, prices=8, sharpness=2.0).settings()["prices"] == 8
