"""Few brackets are cut into sixteenths and many are halved; the lines that they give are the same."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

import autodual
from autodual.dual.curves import bisection
from autodual.dual.curves.curve_rule import CurveRule
from autodual.dual.registry import find_rule
from autodual.interval import Interval
from autodual.ir.expressions import Environment
from autodual.ir.scalars import declarations
from autodual.network import replays


def curves() -> list:
    """The functions of one scalar that are declared as curves."""
    ops = (op for entry in declarations() for op in entry.tried())
    return [op for op in ops if isinstance(find_rule(op), CurveRule)]


def extreme(dtype: torch.dtype) -> Interval:
    """Narrow, wide, endless and impossible intervals."""
    huge = 0.9 * torch.finfo(dtype).max
    pairs = [(-1, 2), (-0.3, 0.2), (0.1, 0.4), (-3, -1), (-1e-6, 1e-6), (-1e6, 1e6), (-2, 1e6), (-huge, huge)]
    pairs += [(-math.inf, math.inf), (-math.inf, 0), (0, math.inf), (-math.inf, -2), (math.nan, 1)]
    pairs += [(float(low), float(low + width)) for low in torch.linspace(-6, 5, 12) for width in (1e-3, 0.5, 3, 50)]
    return Interval(*(torch.tensor([list(ends)], dtype=dtype) for ends in zip(*pairs)))


def lines(op, kind: str, bounds: Interval) -> Tensor:
    """Both lines' heights at both ends `[4, 1, N]`; where these are too far away, their slopes and intercepts."""
    found = getattr(find_rule(op), kind)(
        op, [bounds], Environment({}.__getitem__, bounds.lower.dtype, bounds.lower.device)
    )
    lower, upper = (found.lower_slopes[0], found.lower_intercept), (found.upper_slopes[0], found.upper_intercept)
    far = bounds.lower.abs().maximum(bounds.upper.abs()) > 1e9
    ends = [
        torch.where(far, one, slope * end + start)
        for slope, start in (lower, upper)
        for one, end in ((slope, bounds.lower), (start, bounds.upper))
    ]
    return torch.stack(ends)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_lines_are_the_same_however_brackets_are_cut(dtype, monkeypatch) -> None:
    tolerance = 1e3 * torch.finfo(dtype).eps
    assert len(curves()) > 20
    for op in curves():
        for kind in ("parallel", "adaptive"):
            cut = lines(op, kind, extreme(dtype))
            monkeypatch.setattr(bisection, "_FEW", 0)
            halved = lines(op, kind, extreme(dtype))
            monkeypatch.undo()
            torch.testing.assert_close(cut, halved, rtol=tolerance, atol=tolerance, equal_nan=True)


def test_steps_do_not_depend_on_values(monkeypatch) -> None:
    """But for one question: whether all brackets are narrow."""
    asked = []
    monkeypatch.setattr(Tensor, "__bool__", lambda value, old=Tensor.__bool__: asked.append(1) or old(value))
    (sigmoid,) = (op for op in curves() if op.kind == "sigmoid")
    bounds = Interval(torch.full((1, 5), -1.0), torch.linspace(-0.5, 3, 5).unsqueeze(0))
    lines(sigmoid, "adaptive", bounds)
    assert len(asked) == 1
    lines(sigmoid, "adaptive", Interval(bounds.lower, 1e4 * bounds.upper))
    assert len(asked) == 2


class Gated(nn.Module):
    """A cell with gates, as recurrent networks have them."""

    def __init__(self):
        super().__init__()
        self.gate, self.value, self.out = nn.Linear(4, 6), nn.Linear(4, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.gate(x).sigmoid() * self.value(x).tanh())


@pytest.mark.parametrize("slopes", ["shared", "adaptive"])
def test_calls_with_curves_are_replayed(slopes, monkeypatch) -> None:
    monkeypatch.setattr(replays, "USUAL", 1)
    torch.manual_seed(0)
    x, rows = torch.rand(3, 4), torch.eye(3)
    dual = autodual.compile_dual(Gated(), x)
    ball = autodual.LinfBall(0.1)
    with torch.no_grad():
        found = [dual.lower_bounds(x + shift, ball, rows, slopes=slopes) for shift in (0, 0, 0, 0, 0.3)]
        kinds = dual.compiled(x).replays._kinds.values()
        assert all(kind.program is not None and kind.useful for kind in kinds)
        fresh = autodual.compile_dual(dual.model, x)
        assert torch.equal(found[3], found[0])
        assert torch.equal(found[4], fresh.lower_bounds(x + 0.3, ball, rows, slopes=slopes))
