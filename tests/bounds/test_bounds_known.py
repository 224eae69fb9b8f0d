"""Intervals proved elsewhere are intersected with the dual bounds, and refused where they make no sense."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

import autodual
from autodual.errors import EmptySetError, InvalidInputError
from autodual.interval import Interval


@pytest.fixture
def dual() -> autodual.DualNetwork:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 6), nn.ReLU(), nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2)).double()
    return autodual.compile_dual(model, torch.zeros(1, 2).double())


X = torch.tensor([[0.3, -0.2], [0.1, 0.5], [0.0, 0.0]], dtype=torch.float64)
BALL = autodual.LinfBall(0.4)


def _between(interval: Interval, share: float) -> Interval:
    return Interval.around(interval.centre, share * interval.radius)


@pytest.mark.parametrize("rows", [slice(0, 3), slice(0, 1)])
def test_known_intervals_are_intersected(dual: autodual.DualNetwork, rows: slice) -> None:
    """One for each sample, or one for all; a wider one changes nothing."""
    plain = dual.bounds(X, BALL)
    site = next(iter(plain))
    narrow = _between(plain[site], 0.5).map(lambda end: end[rows].detach())
    found = dual.bounds(X, BALL, known={site: narrow})
    assert torch.equal(found[site].lower, plain[site].lower.maximum(narrow.lower))
    assert torch.equal(found[site].upper, plain[site].upper.minimum(narrow.upper))
    wide = plain[site].widen(1.0).map(Tensor.detach)
    objective = torch.eye(2, dtype=X.dtype)
    unchanged = dual.lower_bounds(X, BALL, objective, known={site: wide})
    torch.testing.assert_close(unchanged, dual.lower_bounds(X, BALL, objective), atol=1e-12, rtol=0)


def test_known_intervals_are_rounded_outwards(dual: autodual.DualNetwork) -> None:
    site = dual.plan.sites[0]
    known = dual.bounds(X, autodual.LinfBall(1e-9))[site].map(Tensor.detach)
    found = dual.bounds(X.float(), BALL, known={site: known})[site]
    assert found.lower.dtype == torch.float32
    assert bool((found.lower.double() <= known.lower).all() and (found.upper.double() >= known.upper).all())


def test_senseless_intervals_are_refused(dual: autodual.DualNetwork) -> None:
    site, ones = dual.plan.sites[0], torch.ones(3, 6, dtype=torch.float64)
    with pytest.raises(InvalidInputError, match="'nowhere' is not a bound site"):
        dual.bounds(X, BALL, known={"nowhere": Interval(-ones, ones)})
    with pytest.raises(InvalidInputError, match="has the shape"):
        dual.bounds(X, BALL, known={site: Interval(-ones[:, :5], ones[:, :5])})
    with pytest.raises(InvalidInputError, match="holds NaN"):
        dual.bounds(X, BALL, known={site: Interval(-ones, math.nan * ones)})
    with pytest.raises(EmptySetError, match="is empty"):
        dual.bounds(X, BALL, known={site: Interval(ones, -ones)})


@pytest.mark.parametrize("last", ["dual", "interval"])
@pytest.mark.parametrize("inner", ["dual", "interval"])
def test_every_bound_assumes_what_is_known(dual: autodual.DualNetwork, inner: str, last: str) -> None:
    """Were the hidden units known exactly, at the sample, then so would be the outputs."""
    with torch.no_grad():
        sites = dual.bounds(X, autodual.LinfBall(0.0))
        outputs = dual.outputs(X)
    objective = torch.eye(2, dtype=X.dtype)
    options = {"inner": inner, "last": last, "slopes": "adaptive"}
    loose = dual.lower_bounds(X, BALL, objective, **options)
    found = dual.lower_bounds(X, BALL, objective, known=sites, **options)
    assert bool((loose < outputs - 1e-3).all())
    torch.testing.assert_close(found, outputs, atol=1e-9, rtol=0)
