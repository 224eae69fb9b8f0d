"""Scaling is folded into weights where that costs less than scaling outputs, and bounds are the same either way."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import autodual
from autodual.ir import ops
from autodual.passes import default_pipeline, fold_affine

BALL = autodual.LinfBall(0.05)


@pytest.fixture
def net() -> nn.Module:
    torch.manual_seed(0)
    layers = [nn.Linear(40, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 5), nn.BatchNorm1d(5), nn.ReLU()]
    for layer in layers:
        if isinstance(layer, nn.BatchNorm1d):
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2.0)
            nn.init.normal_(layer.weight)
    return nn.Sequential(*layers, nn.Linear(5, 3)).double().eval()


def _compiled(net: nn.Module, monkeypatch: pytest.MonkeyPatch, most: float) -> autodual.DualNetwork:
    monkeypatch.setattr(fold_affine, "_FEW", 0)
    monkeypatch.setattr(fold_affine, "_PER_OUTPUT", most)
    return autodual.compile_dual(net, torch.zeros(1, 40, dtype=torch.float64), passes=default_pipeline())


def _scalings(dual: autodual.DualNetwork) -> int:
    return sum(isinstance(node.op, ops.ElementwiseAffine) for node in dual.plan.graph)


def test_weights_that_far_outnumber_outputs_are_left(net, monkeypatch):
    assert [_scalings(_compiled(net, monkeypatch, most)) for most in (100, 16, 0)] == [0, 1, 2]


@pytest.mark.parametrize("inner", ["dual", "interval"])
@pytest.mark.parametrize("slopes", ["shared", "adaptive"])
def test_bounds_are_the_same_folded_or_not(net, monkeypatch, inner, slopes):
    x, rows = torch.rand(4, 40, dtype=torch.float64), torch.eye(3, dtype=torch.float64)
    for last in ("dual", "interval"):
        found = [
            _compiled(net, monkeypatch, most).lower_bounds(x, BALL, rows, slopes=slopes, inner=inner, last=last)
            for most in (100, 0)
        ]
        torch.testing.assert_close(found[0], found[1], rtol=1e-12, atol=1e-12)


def test_intervals_of_a_first_layer_stay_exact(net, monkeypatch):
    sites = _compiled(net, monkeypatch, 0).plan.bound_sites.found
    assert [site.exact for site in sites] == ["input", None]


def test_intervals_that_nothing_reads_any_more_are_forgotten(net, monkeypatch):
    from autodual.network import call

    dual, states = _compiled(net, monkeypatch, 0), []
    prepare = call.prepare

    def seen(state, targets, **options):
        prepare(state, targets, **options)
        states.append(set(state.intervals))

    monkeypatch.setattr(call, "prepare", seen)
    x, rows = torch.rand(4, 40, dtype=torch.float64), torch.eye(3, dtype=torch.float64)
    options = {"inner": "interval", "last": "interval"}
    spared = dual(x, BALL, rows, **options).lower
    kept = dual(x, BALL, rows, sites=True, **options)
    last = [node.name for node in dual.plan.graph if isinstance(node.op, ops.Relu)][-1]
    assert states[0] == {last}
    assert states[1] > {site.name for site in dual.plan.bound_sites.found} and set(kept.intervals) <= states[1]
    assert torch.equal(spared, kept.lower)
