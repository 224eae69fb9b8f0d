"""Samples in half precision: bounds are computed in float32, for the stored parameters taken as real numbers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import autodual

BALL = autodual.LinfBall(0.2)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_bounds_for_half_precision_samples_agree_with_float64(dtype: torch.dtype) -> None:
    """At radius zero the bound is the output itself; half precision arithmetic would be off by up to 0.01."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 2)).to(dtype)
    dual, x = autodual.compile_dual(model), torch.rand(60, 8).to(dtype)
    with torch.no_grad():
        exact = dual.outputs(x.double())
        for radius, slopes in [(0.0, "shared"), (0.0, "adaptive")]:
            lower = dual.lower_bounds(x, autodual.LinfBall(radius), torch.eye(2), slopes=slopes)
            assert lower.dtype == torch.float32
            torch.testing.assert_close(lower.double(), exact, atol=2e-6, rtol=0)
        found = dual.lower_bounds(x, BALL, torch.eye(2)).double()
        torch.testing.assert_close(found, dual.lower_bounds(x.double(), BALL, torch.eye(2)), atol=2e-6, rtol=0)
    for certificate in autodual.certify(dual, x, BALL):
        assert certificate.arithmetic in ("float32", "float64")
    radii = autodual.certified_radius(dual, x[:4], autodual.LinfBall)
    assert radii.dtype == torch.float32
    certified = autodual.certify(dual, x[:4].double(), autodual.LinfBall(radii))
    assert all(one.certified or radius == 0 for one, radius in zip(certified, radii))
