"""Bounds do not depend on the execution: mode, windows, skipping of decided units, number of rows at once."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.effort import effort
from support.networks import pipeline
from support.random_networks import RandomNetwork, networks
from support.random_sets import subjects
from torch import Tensor

from autodual.network import DualNetwork
from autodual.perturbations import PerturbationSet
from autodual.policies import SlopePolicy

SKIPPING: dict[str, dict[str, Any]] = {
    "pull": {"mode": "pull"},
    "push": {"mode": "push"},
    "auto": {"mode": "auto"},
    "dense rows": {"mode": "pull", "windows": False},
    "one row at a time": {"mode": "pull", "at_once": 1},
    "one dense row at a time": {"mode": "pull", "at_once": 1, "windows": False},
}
ALL_UNITS: dict[str, dict[str, Any]] = {
    "all units": {"mode": "pull", "skip_decided": False},
    "all units pushed": {"mode": "push", "skip_decided": False},
}


def _everything(dual: DualNetwork, x: Tensor, ball: PerturbationSet, slopes: SlopePolicy) -> dict[str, Tensor]:
    """Margins, bounds of all outputs, and intervals of all bound sites, by name."""
    identity = torch.eye(3, dtype=x.dtype)
    labels = torch.arange(len(x)) % 3
    found = {
        "margins": dual.margins(x, labels, ball, slopes=slopes),
        "lower": dual.lower_bounds(x, ball, identity, slopes=slopes),
        "upper": dual.upper_bounds(x, ball, identity, slopes=slopes),
    }
    for site, interval in dual.bounds(x, ball, slopes=slopes).items():
        found |= {f"{site}.lower": interval.lower, f"{site}.upper": interval.upper}
    return found


def _assert_same(found: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float = 1e-9) -> None:
    assert found.keys() == expected.keys()
    for name, value in found.items():
        scale = 1 + float(expected[name].abs().max()) if expected[name].numel() else 1.0
        torch.testing.assert_close(
            value, expected[name], atol=tolerance * scale, rtol=0, msg=lambda text, name=name: f"{name}: {text}"
        )


@pytest.mark.parametrize("slopes", ["shared", "adaptive", "optimized"])
@effort(20)
@given(st.data(), networks())
def test_every_execution_gives_the_same_bounds(slopes: SlopePolicy, data: st.DataObject, model: RandomNetwork) -> None:
    """Gradients off: chunks of rows and samples are only made then.

    Where interval arithmetic tightens bounds, rows for decided units make tighter intervals, which may choose other
    lines; so those executions agree with each other, and with the rest only without that tightening.
    """
    subject = data.draw(subjects(model.shape))
    groups = [{**SKIPPING, **ALL_UNITS}] if slopes == "shared" else [SKIPPING, ALL_UNITS]
    fixed = {"intersect": False} if slopes == "shared" else {}
    with torch.no_grad():
        for group in groups:
            runs = iter(group.items())
            first, options = next(runs)
            expected = _everything(model.dual(pipeline(**options, **fixed)), subject.x, subject.ball, slopes)
            for name, options in runs:
                found = _everything(model.dual(pipeline(**options, **fixed)), subject.x, subject.ball, slopes)
                try:
                    _assert_same(found, expected)
                except AssertionError as error:
                    raise AssertionError(f"'{name}' differs from '{first}': {error}") from error
