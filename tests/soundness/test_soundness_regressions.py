"""Mistakes that searches for wrong bounds have found, each as the smallest network that showed it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from support.networks import Network

from autodual.bounds import BoundState, exits, prepare
from autodual.ir import ops
from autodual.perturbations import LinfBall


def _normal(*size: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_a_row_may_leave_early_where_one_branch_is_constant(monkeypatch: pytest.MonkeyPatch) -> None:
    """A constant's interval is alike for all samples, and was cut as if each had its own."""
    monkeypatch.setattr(exits, "_WORTH_A_LOOK", 0)
    network, at = Network((3,)), "input"
    for seed in range(3):
        at = network.add(ops.Linear(network.parameter(_normal(3, 3, seed=seed))), at)
        at = network.add(ops.Sigmoid() if seed < 2 else ops.Reshape((3,)), at)
    constant = network.add(ops.Constant(network.parameter(_normal(3, seed=5))))
    dual, x = network.dual(network.add(ops.Maximum(), at, constant)), 0.3 * _normal(4, 3, seed=6)
    radii, identity = torch.tensor([0.0, 0.5, 0.5, 0.5], dtype=torch.float64), torch.eye(3, dtype=torch.float64)
    with torch.no_grad():
        whole = dual.lower_bounds(x, LinfBall(radii), identity, slopes="adaptive")
        alone = [
            dual.lower_bounds(x[place : place + 1], LinfBall(float(radius)), identity, slopes="adaptive")
            for place, radius in enumerate(radii)
        ]
    torch.testing.assert_close(whole, torch.cat(alone), atol=1e-12, rtol=0)


def test_slopes_and_intercepts_that_cancel_are_charged_for_their_sizes() -> None:
    """At the edge of a soft threshold the upper line is 0 in value only: slope times input and intercept are not."""
    width = 100.0
    network = Network((1,))
    output = network.add(ops.Softshrink(width), "input")
    dual, x = network.dual(output), torch.tensor([[width - 3e-3]])
    plan = dual.compiled(x).plan
    state = BoundState(
        plan.graph,
        plan.rules,
        dual.environment(dual.compiled(x), x),
        {"input": LinfBall(0.03).at(x)},
        replace(plan.options, rigorous=True, slopes="adaptive", intersect=False),
    )
    prepare(state, [output])
    layer = state.layers[output]
    (slope,), intercept = layer.relaxation.upper_slopes, layer.relaxation.upper_intercept
    assert float(slope) > 0.1, "the upper line is the chord over the edge"
    sizes = slope.abs() * state.intervals["input"].magnitude + intercept.abs()
    assert float(state.debts[output].magnitude) > torch.finfo(x.dtype).eps * float(sizes)
