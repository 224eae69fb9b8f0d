"""Intervals proved elsewhere are intersected with the dual bounds, and refused where they are invalid or false."""

from __future__ import annotations

import math
from collections.abc import Callable

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
    narrow = _between(plain[site], 0.5).map(Tensor.detach)
    if rows == slice(0, 1):  # one interval for all samples has to contain each sample's
        narrow = Interval(narrow.lower.amin(0, keepdim=True), narrow.upper.amax(0, keepdim=True))
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


@pytest.mark.parametrize("call", [autodual.DualNetwork.bounds, autodual.certify])
def test_senseless_intervals_are_refused(dual: autodual.DualNetwork, call: Callable[..., object]) -> None:
    site, ones = dual.plan.sites[0], torch.ones(3, 6, dtype=torch.float64)
    with pytest.raises(InvalidInputError, match="'nowhere' is not a bound site"):
        call(dual, X, BALL, known={"nowhere": Interval(-ones, ones)})
    with pytest.raises(InvalidInputError, match="has the shape"):
        call(dual, X, BALL, known={site: Interval(-ones[:, :5], ones[:, :5])})
    with pytest.raises(InvalidInputError, match="holds NaN"):
        call(dual, X, BALL, known={site: Interval(-ones, math.nan * ones)})
    with pytest.raises(EmptySetError, match="is empty"):
        call(dual, X, BALL, known={site: Interval(ones, -ones)})
    for end in (math.inf, -math.inf):
        with pytest.raises(EmptySetError, match="is a point at infinity"):
            call(dual, X, BALL, known={site: Interval(end * ones, end * ones)})
    with pytest.raises(InvalidInputError, match=r"must be an autodual.interval.Interval of two tensors, not a tuple"):
        call(dual, X, BALL, known={site: (-ones, ones)})
    with pytest.raises(InvalidInputError, match=r"must be an autodual.interval.Interval of two tensors"):
        call(dual, X, BALL, known={site: Interval(-1.0, 1.0)})
    with pytest.raises(InvalidInputError, match="known must be a dict from node names to intervals, but is a list"):
        call(dual, X, BALL, known=[Interval(-ones, ones)])


@pytest.mark.parametrize("slopes", ["shared", "adaptive"])
@pytest.mark.parametrize("shift", [-1.1, 1.1, -30.0, 30.0])
def test_provably_false_intervals_are_refused(dual: autodual.DualNetwork, slopes: str, shift: float) -> None:
    """At every site, shifted off the true interval, or merely off the value at the sample."""
    for site, true in dual.bounds(X, BALL).items():
        false = Interval(*(end.detach() + shift * true.radius.amax().detach() for end in (true.lower, true.upper)))
        for rigorous in (False, True):
            with pytest.raises(EmptySetError, match=f"known interval of '{site}' is false"):
                dual(X, BALL, torch.eye(2).double(), slopes=slopes, known={site: false}, rigorous=rigorous)
        with pytest.raises(EmptySetError, match="is false"):
            autodual.certify(dual, X.float(), BALL, known={site: false})


def test_bounds_refute_false_intervals_where_the_sample_cannot(dual: autodual.DualNetwork) -> None:
    """The nominal sample lies outside its box, so that only bounds over the box can refute."""
    box = autodual.Box(torch.full((3, 2), 5.0), torch.full((3, 2), 5.1))
    true = dual.bounds(X, box)
    site = list(true)[-1]
    with pytest.raises(EmptySetError, match="bounds prove that the node lies elsewhere"):
        autodual.certify(dual, X, box, known={site: true[site].map(lambda end: end.detach() + 5)})
    autodual.certify(dual, X.float(), box, known={site: true[site].map(Tensor.detach)})


@pytest.mark.parametrize("inner", ["dual", "interval"])
def test_true_intervals_that_touch_are_kept(dual: autodual.DualNetwork, inner: str) -> None:
    """Computed and known intervals may be disjoint by rounding alone, for instance where both are a single point."""
    point = autodual.LinfBall(0.0)
    exact = {site: interval.map(Tensor.detach) for site, interval in dual.bounds(X, point).items()}
    for x in (X, X.float()):
        found = dual(x, point, torch.eye(2), inner=inner, slopes="adaptive", known=exact, sites=True)
        assert all(bool((interval.lower <= interval.upper).all()) for interval in found.intervals.values())


@pytest.mark.parametrize("last", ["dual", "interval"])
@pytest.mark.parametrize("inner", ["dual", "interval"])
def test_every_bound_uses_the_known_intervals(dual: autodual.DualNetwork, inner: str, last: str) -> None:
    """If all hidden units are known exactly (here as the values at the sample), so are the outputs."""
    with torch.no_grad():
        sites = dual.bounds(X, autodual.LinfBall(0.0))
        outputs = dual.outputs(X)
    objective = torch.eye(2, dtype=X.dtype)
    options = {"inner": inner, "last": last, "slopes": "adaptive"}
    loose = dual.lower_bounds(X, BALL, objective, **options)
    found = dual.lower_bounds(X, BALL, objective, known=sites, **options)
    assert bool((loose < outputs - 1e-3).all())
    torch.testing.assert_close(found, outputs, atol=1e-9, rtol=0)


def test_rigorous_bounds_have_the_samples_dtype_whatever_torch_makes_of_python_numbers() -> None:
    """A count times Python's number has the default dtype, in which a float64 bound's charge for underflow is 0."""
    x, model = torch.rand(2, 4, dtype=torch.float32), nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    dual, before = autodual.compile_dual(model.float(), x), torch.get_default_dtype()
    try:
        for default in (torch.float32, torch.float64):
            torch.set_default_dtype(default)
            rows = torch.eye(3, dtype=x.dtype)
            found = dual.lower_bounds(x, autodual.LinfBall(0.1), rows, slopes="adaptive", rigorous=True)
            assert found.dtype == torch.float32
    finally:
        torch.set_default_dtype(before)
