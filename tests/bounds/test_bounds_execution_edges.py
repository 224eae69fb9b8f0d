"""Execution errors at the edges of a dtype's range, and for the formulas by which other libraries compute functions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import autodual
from autodual.bounds import Execution
from autodual.ir import Call, Parameter
from autodual.ir.constant_errors import ConstantErrors


class Weighted(nn.Module):
    """A function behind one weight in float32, so that it runs in float32 whatever the samples are."""

    def __init__(self, function: Callable[[Tensor], Tensor]):
        super().__init__()
        self.function = function
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x * self.weight)


def _execution(model: nn.Module, x: Tensor) -> tuple[Execution, Tensor]:
    """The execution error at x, and the network's outputs there in float64."""
    dual = autodual.compile_dual(model.eval(), x[:1].float())
    outputs = dual.outputs(x.double())
    with torch.no_grad():
        objective = torch.eye(outputs[0].numel(), dtype=x.dtype)
        found = dual(x, autodual.LinfBall(0.0), objective, rigorous=True, executed=True).execution
    assert found is not None and found.error is not None
    return found, outputs


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_run_rounds_its_inputs(dtype: torch.dtype) -> None:
    """x₁ - x₂ of numbers that the run's dtype cannot represent: the subtraction itself is exact."""
    model = Weighted(lambda x: x[:, :2] - x[:, 2:]).to(dtype)
    x = torch.rand(20, 4, dtype=torch.float64) + 1
    x[:, 2:] = x[:, :2] + 1e-9 * torch.rand(20, 2, dtype=torch.float64)
    found, exact = _execution(model, x)
    assert found.dtype == dtype
    assert bool(((model(x.to(dtype)).double() - exact).abs() <= found.error).all())
    unit = torch.finfo(dtype).eps / 2
    assert bool((found.error > 2 * unit).all())
    if dtype != torch.float16:  # there the allowance for underflow is larger
        assert bool((found.error < 40 * unit).all())


@pytest.mark.parametrize(
    "average",
    [lambda x: x.mean(1, keepdim=True), nn.AvgPool1d(4), nn.AvgPool1d(4, ceil_mode=True), nn.AdaptiveAvgPool1d(2)],
)
def test_sums_that_overflow_before_they_are_divided(average: Callable[[Tensor], Tensor]) -> None:
    x = torch.full((1, 8, 8), 1e38, dtype=torch.float64)
    model = Weighted(average)
    found, exact = _execution(model, x)
    assert bool(model(x.float()).isinf().all()) and bool(exact.isfinite().all())
    assert bool(found.error.isinf().all())
    small, _ = _execution(model, 1e-4 * x)
    assert bool(small.error.isfinite().all())


@pytest.mark.parametrize("exponent", [10.1, 5.1, -7.3, 0.1, 60])
def test_powers_by_rounded_exponents_and_by_products(exponent: float) -> None:
    x = torch.linspace(1.5, 2e3 if exponent < 60 else 3, 200, dtype=torch.float64).float()[None]
    found, exact = _execution(Weighted(lambda x: x**exponent), x)
    run = x**exponent if exponent != 60 else torch.stack([x] * 60).prod(0)
    assert bool(found.error.isfinite().all())
    assert bool(((run.double() - exact).abs() <= found.error).all())


def test_softplus_near_its_threshold_may_take_either_branch() -> None:
    """beta·x is at the threshold to within float32's rounding, so that a run may take either branch."""
    beta, threshold = 0.7, 0.1
    near = threshold / beta * (1 + 1e-9 * torch.arange(-60, 60, dtype=torch.float64))
    model = nn.Softplus(beta, threshold)
    found, exact = _execution(Weighted(model), near[None])
    assert bool(((model(near.float())[None].double() - exact).abs() <= found.error).all())
    gap = float(nn.functional.softplus(torch.tensor(threshold / beta), beta, 50.0)) - threshold / beta
    assert bool((found.error >= gap * (1 - 1e-6)).all())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_bounds_of_softplus_hold_on_both_sides_of_its_threshold(dtype: torch.dtype) -> None:
    """The exact product with beta and the rounded one may lie on different sides of the threshold."""
    beta, threshold = 0.7, 0.1
    end = torch.tensor(threshold / beta, dtype=dtype)
    x = torch.stack([end.nextafter(end * 0), end, end.nextafter(end * 2)])[:, None]
    dual = autodual.compile_dual(nn.Softplus(beta, threshold), x)
    for slopes in ("shared", "adaptive"):
        lower = dual(x, autodual.LinfBall(0.0), torch.ones(1, 1, dtype=dtype), slopes=slopes, rigorous=True).lower
        assert bool((lower <= end).all())


def test_sigmoids_and_exponentials_as_other_libraries_compute_them() -> None:
    """(1 + tanh(x/2))/2 and e^x - 1 lose the digits of small values."""
    x = torch.linspace(-17, -3, 200)[None]
    found, exact = _execution(Weighted(torch.sigmoid), x)
    assert bool((((1 + (x / 2).tanh()) / 2 - exact).abs() <= found.error).all())
    x = -torch.logspace(-7, -1, 200)[None]
    found, exact = _execution(Weighted(nn.ELU(3.0)), x)
    assert bool(((3 * (x.exp() - 1) - exact).abs() <= found.error).all())


def test_matrix_products_of_which_every_term_vanishes() -> None:
    """In float16, products below the smallest normal number may be flushed to zero."""
    model = Weighted(lambda x: x.reshape(-1, 1, 64) @ x.reshape(-1, 64, 1)).half()
    x = torch.full((1, 64), 7e-3)
    found, exact = _execution(model, x)
    assert bool((exact.abs() <= found.error).all())


def test_constants_that_a_run_cannot_hold() -> None:
    """√(1e-30·1e-30) is 0 in float32, and 1e30·1e30 infinite."""
    values = {"small": torch.tensor(1e-30), "large": torch.tensor(1e30)}
    small, large = (Parameter(name) for name in values)
    errors = ConstantErrors(values.__getitem__, torch.float64, torch.device("cpu"), torch.float32)
    inverse = Call(torch.rsqrt, (Call(torch.mul, (small, small)),))
    assert float(errors(Call(torch.sqrt, (Call(torch.mul, (small, small)),)))) >= 1e-30
    assert float(errors(inverse)) == float("inf")
    assert float(errors(Call(torch.mul, (large, large)))) == float("inf")


def test_a_part_in_a_narrower_dtype_is_rounded_to_it() -> None:
    """A network in float64 with a part in float32."""
    x = torch.linspace(0.1, 2, 50, dtype=torch.float64)[None]
    model = Weighted(lambda x: (x.float().exp() * 1.1).double()).double()
    found, exact = _execution(model, x)
    assert found.dtype == torch.float32
    assert bool(((model(x) - exact).abs() <= found.error).all())


@pytest.mark.parametrize("half_input", [True, False])
def test_half_precision_of_onnx_files_without_weights_in_it(half_input: bool, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    from onnx.helper import make_graph, make_model, make_node, make_opsetid, make_tensor_value_info

    half, single = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT
    nodes = [make_node("Cast", ["x"], ["h"], to=half), make_node("Mul", ["h", "h"], ["m"])]
    nodes.append(make_node("Cast", ["m"], ["y"], to=single))
    source = make_tensor_value_info("x", half if half_input else single, ["N", 8])
    graph = make_graph(nodes, "squares", [source], [make_tensor_value_info("y", single, ["N", 8])])
    path = tmp_path / "squares.onnx"
    onnx.save(make_model(graph, opset_imports=[make_opsetid("", 20)], ir_version=9), path)
    x = (torch.rand(4, 8) + 0.5).half().float()
    found, exact = _execution(autodual.load_onnx(path), x)
    assert found.dtype == torch.float16
    assert bool((((x.half() * x.half()).double() - exact).abs() <= found.error).all())


@pytest.mark.parametrize("last", [nn.Sigmoid(), nn.Hardtanh(), torch.sin])
def test_bounded_functions_of_operands_that_may_be_nan(last: Callable[[Tensor], Tensor]) -> None:
    """The operand is a difference of two infinities in float32, but small in float64."""
    model = Weighted(lambda x: last((1e30 * x) * 1e10 - (1e30 * x.flip(1)) * 1e10))
    x = torch.tensor([[1.0, 1.0], [1e-9, 1e-9]], dtype=torch.float64)
    found, _ = _execution(model, x)
    assert bool(model(x[:1].float()).isnan().all())
    assert bool(found.error[0].isinf().all()) and bool(found.error[1].isfinite().all())


def test_indices_have_no_error() -> None:
    """Reflection padding reads features by their indices, which no run rounds."""
    x = torch.rand(1, 1, 6) - 0.5
    found, exact = _execution(Weighted(nn.ReflectionPad1d(2)), x)
    assert bool(((nn.ReflectionPad1d(2)(x).double() - exact).abs() <= found.error).all())
    assert bool((found.error < 1e-6).all())


@pytest.mark.parametrize("operator", ["LayerNormalization", "Softmax", "Resize"])
def test_onnx_runtime_stays_within_the_error_of_the_declared_dtype(operator: str, tmp_path: Path) -> None:
    """Also without float32 weights. ONNX Runtime's variances, of one pass, lose digits for numbers far from zero."""
    onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    from onnx.helper import make_graph, make_model, make_node, make_opsetid, make_tensor_value_info

    scales = torch.tensor([1, 1, 1.7, 2.3]) if operator == "Resize" else 1 + torch.rand(4)
    names = {"LayerNormalization": ["x", "s", "s"], "Resize": ["x", "", "s"]}.get(operator, ["x"])
    how = {"mode": "linear"} if operator == "Resize" else {}
    ends = [make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 1, "h", "w"]) for name in ("x", "y")]
    ends[0] = make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 1, 5, 4])
    stored = [onnx.numpy_helper.from_array(scales.numpy(), "s")] if "s" in names else []
    graph = make_graph([make_node(operator, names, ["y"], **how)], "one", ends[:1], ends[1:], stored)
    path = tmp_path / "one.onnx"
    onnx.save(make_model(graph, opset_imports=[make_opsetid("", 20)], ir_version=9), path)
    x = 20 + torch.randn(1, 1, 5, 4, generator=torch.Generator().manual_seed(0))
    found, exact = _execution(autodual.load_onnx(path), x.double())
    (run,) = runtime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"x": x.numpy()})
    assert found.dtype == torch.float32 and found.error is not None
    off = (torch.from_numpy(run).double() - exact).abs()
    assert bool((off <= found.error).all()) and bool((off > 0).any())
