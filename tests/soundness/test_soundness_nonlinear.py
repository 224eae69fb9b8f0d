"""Random networks of all ops: sampled values lie within every bound, in every execution, and rounding is covered."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.effort import effort
from support.networks import node_values, pipeline
from support.random_networks import RandomNetwork, networks
from support.random_sets import Subject, subjects
from torch import Tensor

from autodual.interval import Interval
from autodual.measured import measured
from autodual.network import DualNetwork
from autodual.perturbations import LinfBall, PerturbationSet, Region
from autodual.policies import SlopePolicy

SLOPES = pytest.mark.parametrize("slopes", ["shared", "adaptive", "optimized"])
#: Allowed for rounding in float64, relative to the values.
ROUNDING = 1e-9
EXECUTIONS: dict[str, dict[str, Any]] = {
    "pull": {"mode": "pull"},
    "push": {"mode": "push"},
    "dense rows": {"mode": "pull", "windows": False},
    "all units": {"mode": "pull", "skip_decided": False},
    "one row at a time": {"mode": "pull", "at_once": 1},
}


@contextmanager
def _looking_everywhere(wanted: bool = True) -> Iterator[None]:
    """Makes rows check for an early exit at every site, as they do in large networks."""
    with pytest.MonkeyPatch.context() as patch:
        if wanted:
            patch.setattr(measured, "early_exit_work", 0)
        yield


def _points(region: Region, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    middle = region.project(region.centre).unsqueeze(0)
    return torch.cat([middle, region.sample(24, generator), region.corners(24, generator)])


def _enclosed(values: Tensor, interval: Interval) -> None:
    """Values `[P, N, *shape]` lie in the interval; a NaN bound counts as no bound."""
    slack = ROUNDING * (1 + values.abs())
    below, above = values < interval.lower - slack, values > interval.upper + slack
    assert not bool(below.any()), float((interval.lower - values).max())
    assert not bool(above.any()), float((values - interval.upper).max())


@SLOPES
@effort(100)
@given(
    st.data(),
    networks(kind="any"),
    st.sampled_from(list(EXECUTIONS)),
    st.sampled_from([None, True, False]),
    st.booleans(),
    st.integers(0, 2**16),
)
def test_no_point_of_the_set_falls_outside_a_bound(
    slopes: SlopePolicy,
    data: st.DataObject,
    model: RandomNetwork,
    execution: str,
    intersect: bool | None,
    looking: bool,
    seed: int,
) -> None:
    """For random objectives and all bound sites. Bounds are never NaN, unless intersection with intervals is off."""
    subject: Subject = data.draw(subjects(model.shape))
    x, dual = subject.x, model.dual(pipeline(intersect=intersect, **EXECUTIONS[execution]))
    objective = torch.randn(3, 3, dtype=x.dtype, generator=torch.Generator().manual_seed(seed))
    points = _points(subject.ball.at(x), seed)
    with torch.no_grad(), _looking_everywhere(looking):
        found = Interval(
            dual.lower_bounds(x, subject.ball, objective, slopes=slopes),
            dual.upper_bounds(x, subject.ball, objective, slopes=slopes),
        )
        sites = dual.bounds(x, subject.ball, slopes=slopes)
        values = node_values(dual, points.flatten(0, 1))
    outputs = values[dual.plan.graph.outputs[0]].reshape(*points.shape[:2], -1)
    assert intersect is False or not bool((found.lower + found.upper).isnan().any())
    _enclosed(outputs @ objective.T, found)
    for site, interval in sites.items():
        alike = values[site].expand(points.shape[0] * points.shape[1], *values[site].shape[1:])
        _enclosed(alike.reshape(*points.shape[:2], *values[site].shape[1:]), interval)


def _everything(dual: DualNetwork, x: Tensor, ball: PerturbationSet, slopes: SlopePolicy) -> dict[str, Tensor]:
    identity = torch.eye(3, dtype=x.dtype)
    found = {
        "lower": dual.lower_bounds(x, ball, identity, slopes=slopes),
        "upper": dual.upper_bounds(x, ball, identity, slopes=slopes),
    }
    for site, interval in dual.bounds(x, ball, slopes=slopes).items():
        found |= {f"{site}.lower": interval.lower, f"{site}.upper": interval.upper}
    return found


def _assert_same(found: dict[str, Tensor], expected: dict[str, Tensor], what: str) -> None:
    assert found.keys() == expected.keys()
    for name, value in found.items():
        scale = 1 + float(expected[name].abs().max())
        torch.testing.assert_close(
            *torch.broadcast_tensors(value, expected[name]),
            atol=ROUNDING * scale,
            rtol=0,
            msg=lambda text, name=name: f"{what}, {name}: {text}",
        )


@SLOPES
@effort(12)
@given(st.data(), networks(kind="continuous", most_layers=4))
def test_every_execution_gives_the_same_bounds(slopes: SlopePolicy, data: st.DataObject, model: RandomNetwork) -> None:
    """Without the intersection with interval arithmetic, through which rows for decided units may tighten bounds."""
    subject = data.draw(subjects(model.shape))
    with torch.no_grad():
        plain = model.dual(pipeline(intersect=False))
        expected = _everything(plain, subject.x, subject.ball, slopes)
        for name, options in EXECUTIONS.items():
            with _looking_everywhere(name == "pull"):
                dual = model.dual(pipeline(intersect=False, **options))
                found = _everything(dual, subject.x, subject.ball, slopes)
            _assert_same(found, expected, name)


@SLOPES
@pytest.mark.parametrize("rigorous", [False, True])
@effort(40)
@given(networks(kind="any"), st.integers(0, 2**16))
def test_a_sample_is_bounded_alike_alone_and_among_others(
    slopes: SlopePolicy, rigorous: bool, model: RandomNetwork, seed: int
) -> None:
    """Samples of very different size and radius, one of them fixed."""
    x = torch.randn(3, *model.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    x = x * torch.tensor([1.0, 30.0, 1e-3], dtype=x.dtype).reshape(-1, *[1] * (x.dim() - 1))
    radii, identity, dual = torch.tensor([0.0, 0.3, 0.01], dtype=x.dtype), torch.eye(3, dtype=x.dtype), model.dual()
    with torch.no_grad(), _looking_everywhere():
        whole = dual(x, LinfBall(radii), identity, slopes=slopes, rigorous=rigorous).lower
        for place in range(len(x)):
            part = slice(place, place + 1)
            alone = dual(x[part], LinfBall(radii[part]), identity, slopes=slopes, rigorous=rigorous).lower
            _assert_same({"lower": alone}, {"lower": whole[part]}, f"sample {place}")


@SLOPES
@effort(100)
@given(
    networks(kind="any"),
    st.sampled_from([0.0, 1e-6, 1e-3, 0.1, 1.0]),
    st.sampled_from([1.0, 1.0, 100.0, 1e4]),
    st.integers(0, 2**16),
)
def test_float32_bounds_allow_for_their_rounding(
    slopes: SlopePolicy, model: RandomNetwork, radius: float, scale: float, seed: int
) -> None:
    """No rigorous float32 bound lies above a value that float64 computes at a point of the set."""
    x = scale * torch.rand(2, *model.shape, generator=torch.Generator().manual_seed(seed))
    both, dual = torch.cat([torch.eye(3), -torch.eye(3)]), model.dual()
    points = _points(LinfBall(radius).at(x.double()), seed)
    with torch.no_grad():
        values = dual.outputs(points.flatten(0, 1)).reshape(len(points), len(x), -1) @ both.double().T
        found = dual(x, LinfBall(radius), both, slopes=slopes, rigorous=True).lower.double()
    excess = found - values.min(0).values
    assert not bool((excess > 1e-13 * (1 + values.abs().amax())).any()), float(excess.max())
