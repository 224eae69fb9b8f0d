"""Execution errors: bounds on the rounding error of a network's own run, for any order of summation."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import pytest
import torch
from support.executions import run_in_any_order
from torch import Tensor, nn

import autodual
from autodual.bounds import Execution
from autodual.dual.registry import _RULES
from autodual.errors import InvalidInputError
from autodual.extend import Curve, CurveRule, ElementwiseOp
from autodual.frontend import lowers_module
from autodual.ir import Call, Parameter
from autodual.ir.constant_errors import ConstantErrors, Unanalysed
from autodual.specs import Formula, HalfSpaces

BALL = autodual.LinfBall(0.2)


def _normalised(layer: nn.Module) -> nn.Module:
    """Batch norm whose shift cancels: its two terms are a thousand times their difference."""
    generator = torch.Generator().manual_seed(5)
    assert isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d))
    with torch.no_grad():
        layer.running_mean.copy_(1e3 * torch.randn(layer.num_features, generator=generator))
        layer.running_var.copy_(torch.rand(layer.num_features, generator=generator) + 0.5)
        layer.weight.copy_(torch.randn(layer.num_features, generator=generator))
        layer.bias.copy_(layer.weight * layer.running_mean / (layer.running_var + layer.eps).sqrt())
    return layer


NETWORKS = {
    "relu": lambda: nn.Sequential(nn.Linear(6, 24), nn.ReLU(), nn.Linear(24, 16), nn.LeakyReLU(0.2), nn.Linear(16, 3)),
    "smooth": lambda: nn.Sequential(
        *(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 16), nn.GELU(), nn.Linear(16, 8), nn.SiLU()),
        *(nn.Linear(8, 3), nn.LogSoftmax(1)),
    ),
    "batch norm": lambda: nn.Sequential(
        nn.Linear(6, 12), _normalised(nn.BatchNorm1d(12)), nn.Hardtanh(-0.3, 0.7), nn.Linear(12, 3)
    ),
    "convolutions": lambda: nn.Sequential(
        *(nn.Unflatten(1, (1, 6, 1)), nn.Conv2d(1, 4, (3, 1), padding=(1, 0)), _normalised(nn.BatchNorm2d(4))),
        *(nn.ReLU(), nn.MaxPool2d((2, 1)), nn.Conv2d(4, 5, (2, 1)), nn.AvgPool2d((2, 1)), nn.Flatten()),
        *(nn.Softplus(), nn.Linear(5, 3)),
    ),
}


def _execution(dual: autodual.DualNetwork, x: Tensor) -> Execution:
    objective = torch.eye(3, dtype=x.dtype)
    with torch.no_grad():
        found = dual(x, BALL, objective, slopes="adaptive", rigorous=True, executed=True).execution
    assert found is not None
    return found


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", NETWORKS)
def test_runs_in_any_order_stay_within_the_error(name: str, dtype: torch.dtype) -> None:
    """At points that the dtype can represent; in half precision errors are thousands of times larger."""
    torch.manual_seed(0)
    model = NETWORKS[name]().eval().to(dtype)
    exact = copy.deepcopy(model).double()
    dual, x = autodual.compile_dual(model), 4 * torch.rand(3, 6).to(dtype)
    inside = autodual.LinfBall(0.19).at(x.double()).sample(30)
    points = inside.flatten(0, 1).to(dtype)
    generator, seen = torch.Generator().manual_seed(1), torch.zeros(3, 3, dtype=torch.float64)
    with torch.no_grad():
        values = exact(points.double())
        for _ in range(4):
            off = (run_in_any_order(model, points, generator).double() - values).abs()
            seen = seen.maximum(off.reshape(30, 3, 3).amax(0))
    for samples in (x, x.double()):
        found = _execution(dual, samples)
        assert found.dtype == dtype and found.error is not None and not found.reason
        assert bool((seen <= found.error.double()).all()) and bool((seen > 0).any())
    if dtype == torch.float32:
        assert bool((found.error < 0.05).all()), "the bound is not vacuous"


def test_partial_sums_that_may_overflow_have_no_bound() -> None:
    """The partial sums exceed the largest number of half precision, though the sum itself is small."""
    model = nn.Linear(4, 3)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[3e4, 3e4, -3e4, -3e4]] * 3))
    dual = autodual.compile_dual(nn.Sequential(model.half()))
    found = _execution(dual, torch.ones(2, 4))
    assert found.error is not None and bool(found.error.isinf().all())


@dataclass(frozen=True, eq=False)
class Cubed(ElementwiseOp):
    """A custom op whose rule gives no execution error."""

    def function(self, x: Tensor) -> Tensor:
        return x**3


class CubedRule(CurveRule):
    def curve(self, op: Cubed) -> Curve:
        return Curve(lambda z: z**3, lambda z: 3 * z**2, inflections=(0.0,), convex=False)


class Custom(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x**3


class Computed(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return x @ torch.linalg.matrix_exp(self.weight)


@pytest.mark.parametrize(
    ("layer", "reason"),
    [(Custom(), "the op cubed"), (Computed(3, 3), "how a constant is computed by linalg_matrix_exp")],
)
def test_ops_and_constants_without_an_error_analysis_are_named(
    layer: nn.Module, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(_RULES, Cubed, CubedRule())
    if isinstance(layer, Custom):
        lowers_module(Custom, replace=True)(lambda builder, module, x: builder.emit(Cubed(), x))
    dual, x = autodual.compile_dual(nn.Sequential(nn.Linear(6, 3), layer).eval()), torch.rand(2, 6)
    found = _execution(dual, x)
    assert found.error is None and reason in found.reason
    with pytest.raises(InvalidInputError, match="nothing can be said of a run of this network"):
        autodual.certify(dual, x, BALL, deployed=True)
    for spec in (Formula("y0 > -9"), HalfSpaces([[1.0] + [0.0] * (dual.outputs(x).shape[1] - 1)], [1e9])):
        assert {one.execution_error for one in autodual.certify(dual, x, BALL, spec=spec)} == {None}
    (first, _) = autodual.certify(dual, x, BALL)
    assert first.execution == "float32" and first.execution_error is None and reason in first.execution_reason


def test_a_layer_that_is_called_several_times_has_a_finite_error() -> None:
    class Loop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.step = nn.Linear(6, 6)

        def forward(self, x: Tensor) -> Tensor:
            for _ in range(3):
                x = self.step(x).relu()
            return x[:, :3]

    found = _execution(autodual.compile_dual(Loop()), torch.rand(2, 6))
    assert found.error is not None and bool(found.error.isfinite().all())


def test_errors_of_constants() -> None:
    """Of (a - b)·rsqrt(c), compared with its float32 value; stored parameters are exact, unknown functions refused."""
    values = {"a": torch.tensor(3.25), "b": torch.tensor(3.0), "c": torch.rand(9) + 1e-3}
    a, b, c = (Parameter(name) for name in values)
    expression = Call(torch.mul, (Call(torch.sub, (a, b)), Call(torch.rsqrt, (Call(torch.add, (c, 1e-5)),))))
    errors = ConstantErrors(values.__getitem__, torch.float64, torch.device("cpu"), torch.float32)
    exact = (values["a"].double() - values["b"].double()) / (values["c"].double() + 1e-5).sqrt()
    run = (values["a"] - values["b"]) * (values["c"] + 1e-5).rsqrt()
    assert bool(((run.double() - exact).abs() <= errors(expression)).all())
    assert bool((errors(expression) < 1e-6 * exact.abs()).all())
    assert errors.exact(a) and not errors.exact(expression) and float(errors(a)) == 0
    places = Call(torch.argsort, (c,))
    assert errors(places).equal(values["c"].argsort()), "whole numbers are returned as they are"
    with pytest.raises(Unanalysed, match="computed by"):
        errors(Call(torch.fft.ifft, (c,)))
    filled = Call(torch.full, ((2,), 0.1))
    for run in (torch.float16, torch.float64):
        errors = ConstantErrors(values.__getitem__, torch.float32, torch.device("cpu"), run)
        off = torch.full((2,), 0.1, dtype=run).double() - 0.1
        assert bool((off.abs() <= errors(filled)).all()) and float(errors(Call(torch.zeros_like, (c,))).max()) < 1e-3
        assert (
            bool(errors(Call(torch.full, ((2,), 1e300), (("dtype", torch.float64),))).isinf().all())
            or run is torch.float64
        )
        assert bool((errors(Call(torch.full, ((2,), 1e-60), (("dtype", torch.float64),))) >= 1e-60).all())
    with pytest.raises(Unanalysed, match="computed by full"):
        errors(Call(torch.full, ((2,), a)))
