"""Least values over Wasserstein balls: exact for linear networks, between bounds and attacks for others."""

from __future__ import annotations

import pytest
import torch
from support.transport_programs import Plans
from torch import nn

import autodual

pytest.importorskip("highspy")


@pytest.fixture
def x() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(2, 1, 4, 4, dtype=torch.float64, generator=generator)
    return x * (torch.rand(x.shape, generator=generator) < 0.7)


def test_a_linear_network_takes_the_value_of_the_transport_program(x):
    torch.manual_seed(0)
    layer = nn.Linear(16, 2, bias=False).double()
    dual = autodual.compile_dual(nn.Sequential(nn.Flatten(), layer), x)
    plans = Plans.over((1, 4, 4), 3)
    for eps in (0.05, 4.0):
        found = autodual.exact_bounds(dual, x, autodual.WassersteinBall(eps, window=3), torch.eye(2).double())
        for sample, image in enumerate(x.numpy()):
            for row, weight in enumerate(layer.weight.detach().numpy()):
                least = -plans.greatest(-weight, image, eps * image.sum())
                assert float(found.lower[sample, row]) == pytest.approx(least, abs=1e-5)
                assert found.lower[sample, row] <= least


@pytest.mark.parametrize("domain", [None, (0, 1)])
def test_least_values_lie_between_bounds_and_points(x, domain):
    torch.manual_seed(1)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2)).double()
    dual, ball = autodual.compile_dual(model, x), autodual.WassersteinBall(0.2, domain=domain)
    found = autodual.exact_bounds(dual, x, ball, torch.eye(2).double())
    assert (dual.lower_bounds(x, ball, torch.eye(2).double()) <= found.upper).all()
    corners = ball.at(x).corners(200, torch.Generator().manual_seed(2))
    values = model(corners.flatten(0, 1)).reshape(200, 2, 2)
    assert (values >= found.lower - 1e-9).all()
    points = found.points.reshape(-1, *x.shape[1:])
    owners = ball.at(x.repeat_interleave(2, 0))
    assert owners.contains(points).all()
