"""Bounds of random float64 networks, compared with recorded bounds on which two other implementations agree."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import autodual

NETWORKS = {
    "fc_2_100_100_100_2": lambda: nn.Sequential(
        nn.Linear(2, 100), nn.ReLU(), nn.Linear(100, 100), nn.ReLU(), nn.Linear(100, 100), nn.ReLU(), nn.Linear(100, 2)
    ),
    "conv_small": lambda: nn.Sequential(
        nn.Conv2d(1, 4, 4, 2, 1),
        nn.ReLU(),
        nn.Conv2d(4, 8, 4, 2, 1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(72, 20),
        nn.ReLU(),
        nn.Linear(20, 10),
    ),
    "conv_batchnorm_eval": lambda: nn.Sequential(
        nn.Conv2d(2, 5, 3, 1, 1),
        nn.BatchNorm2d(5),
        nn.ReLU(),
        nn.Conv2d(5, 6, 4, 2, 1),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(96, 4),
    ),
}
BALLS = {
    "linf": autodual.LinfBall,
    "linf_box01": lambda radius: autodual.LinfBall(radius, domain=(0.0, 1.0)),
    "l2": autodual.L2Ball,
}


@pytest.mark.parametrize("mode", ["pull", "push"])
@pytest.mark.parametrize("name", NETWORKS)
def test_margins_bounds_loss_and_gradients_agree(name: str, mode: str, shared_directory: Path) -> None:
    """Bounds, loss and gradients agree to 1e-9."""
    stored = torch.load(shared_directory / "reference/random_networks" / f"{name}.pt", weights_only=True)
    model = NETWORKS[name]().double()
    model.load_state_dict(stored["state_dict"])
    model.eval()  # in training mode the loss would use the statistics of the batch
    x, labels = stored["X"], stored["y"]
    passes = [*autodual.passes.default_pipeline()[:-1], autodual.passes.ChooseExecution(mode=mode)]
    dual = autodual.compile_dual(model, x, passes=passes)
    expected = np.load(shared_directory / "reference/random_networks" / f"{name}.npz")
    cases = sorted({key.split("/")[0] for key in expected if "/" in key})
    assert cases
    for case in cases:
        kind, radius = case.rsplit("_eps", 1)
        ball = BALLS[kind](float(radius))

        def reference(key: str, case: str = case) -> torch.Tensor:
            return torch.from_numpy(expected[f"{case}/{key}"])

        torch.testing.assert_close(dual.margins(x, labels, ball), reference("margins_lb"), atol=1e-9, rtol=0)
        outputs = torch.eye(reference("out_lb").shape[1], dtype=x.dtype)
        torch.testing.assert_close(dual.lower_bounds(x, ball, outputs), reference("out_lb"), atol=1e-9, rtol=0)
        torch.testing.assert_close(dual.upper_bounds(x, ball, outputs), reference("out_ub"), atol=1e-9, rtol=0)
        for place, interval in enumerate(dual.bounds(x, ball).values(), start=1):
            torch.testing.assert_close(interval.lower, reference(f"relu{place}_l"), atol=1e-9, rtol=0)
            torch.testing.assert_close(interval.upper, reference(f"relu{place}_u"), atol=1e-9, rtol=0)
        loss = autodual.robust_loss(dual, x, labels, ball)
        torch.testing.assert_close(loss, reference("robust_loss"), atol=1e-9, rtol=0)
        model.zero_grad()
        loss.backward()
        for parameter_name, parameter in model.named_parameters():
            torch.testing.assert_close(parameter.grad, reference(f"grad/{parameter_name}"), atol=1e-9, rtol=0)
