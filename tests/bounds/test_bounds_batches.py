"""A sample's bound does not depend on the rest of its batch, on the chunk it falls into, or on the memory there is."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.effort import effort
from support.networks import pipeline
from support.random_networks import RandomNetwork, networks
from torch import nn

import autodual
from autodual.perturbations import LinfBall
from autodual.policies import SlopePolicy

SLOPES = pytest.mark.parametrize("slopes", ["shared", "adaptive"])
#: Samples scaled so that no pre-activation interval is symmetric: at a tie, either adaptive slope may be chosen.
_UNEVEN = 1.0123


@SLOPES
@effort(40)
@given(networks(), st.integers(0, 2**16))
def test_a_sample_alone_has_the_bound_it_has_among_others(slopes: SlopePolicy, model: RandomNetwork, seed: int) -> None:
    """Other samples with far larger values and radii have other undecided units, and need more or fewer rows."""
    generator = torch.Generator().manual_seed(seed)
    x = _UNEVEN * torch.rand(4, *model.shape, generator=generator, dtype=torch.float64)
    x[1], x[3] = 50 * x[1], -x[3]
    radius = torch.tensor([0.05, 20.0, 0.0, 1.0], dtype=torch.float64)
    dual, objective = model.dual(), torch.eye(3, dtype=torch.float64)
    with torch.no_grad():
        together = dual.lower_bounds(x, LinfBall(radius), objective, slopes=slopes)
        sites = dual.bounds(x, LinfBall(radius), slopes=slopes)
        for sample in range(4):
            one, ball = x[sample : sample + 1], LinfBall(radius[sample : sample + 1])
            alone = dual.lower_bounds(one, ball, objective, slopes=slopes)
            scale = 1 + float(alone.abs().max())
            torch.testing.assert_close(alone[0], together[sample], atol=1e-12 * scale, rtol=1e-12)
            for name, interval in dual.bounds(one, ball, slopes=slopes).items():
                scale = 1 + float(interval.magnitude.max())
                torch.testing.assert_close(interval.lower[0], sites[name].lower[sample], atol=1e-12 * scale, rtol=1e-12)


@SLOPES
@effort(20)
@given(networks(), st.integers(0, 2**16))
def test_chunks_of_samples_change_nothing(slopes: SlopePolicy, model: RandomNetwork, seed: int) -> None:
    """With one objective per sample; linear functions and rounding errors are split and joined in order too."""
    generator = torch.Generator().manual_seed(seed)
    x = _UNEVEN * torch.rand(5, *model.shape, generator=generator, dtype=torch.float64)
    objective = torch.randn(5, 2, 3, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        whole = model.dual()(x, LinfBall(0.1), objective, slopes=slopes, rigorous=True, linear=True).objective
        small = model.dual(pipeline(at_once=1))
        parts = small(x, LinfBall(0.1), objective, slopes=slopes, rigorous=True, linear=True).objective
    assert whole is not None and parts is not None and whole.linear is not None and parts.linear is not None
    scale = 1 + float(whole.lower.abs().max())
    torch.testing.assert_close(parts.lower, whole.lower, atol=1e-9 * scale, rtol=0)
    torch.testing.assert_close(parts.error, whole.error, atol=1e-9 * scale, rtol=0)
    for name, coefficients in whole.linear.coefficients.items():
        torch.testing.assert_close(parts.linear.coefficients[name], coefficients, atol=1e-9 * scale, rtol=0)


@pytest.mark.parametrize(("seed", "slopes"), [(28, "adaptive"), (37, "shared")])
def test_units_that_only_other_samples_leave_undecided_change_nothing(seed: int, slopes: SlopePolicy) -> None:
    """A unit that gets rows only because it is undecided for other samples keeps the bound that it has alone."""
    torch.manual_seed(seed)
    bent = nn.Sigmoid() if seed % 2 else nn.ReLU()
    layers = [nn.Linear(6, 12), nn.Linear(12, 14), nn.ReLU(), nn.Linear(14, 12), bent, nn.Linear(12, 8), nn.ReLU()]
    dual = autodual.compile_dual(nn.Sequential(*layers, nn.Linear(8, 3)).double())
    x = torch.randn(6, 6).double() * torch.tensor([0.01, 0.1, 1, 3, 10, 30]).double().unsqueeze(1)
    rows, ball = torch.eye(3).double(), autodual.L2Ball(0.7)
    with torch.no_grad():
        together = dual.lower_bounds(x, ball, rows, slopes=slopes)
        alone = torch.cat([dual.lower_bounds(one, ball, rows, slopes=slopes) for one in x.split(1)])
    torch.testing.assert_close(together, alone, atol=1e-10, rtol=0)
