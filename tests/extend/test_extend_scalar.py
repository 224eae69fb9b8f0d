"""A function of one scalar from outside the package is declared by one call, for PyTorch and for ONNX."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import autodual
from autodual.errors import TraceError, UnsupportedOpsError
from autodual.extend import Accuracy, Curve, CurveOp, scalar_family, scalar_op
from autodual.frontend.onnx import load_onnx
from autodual.ir import ops
from autodual.ir.scalars import declarations
from autodual.testing import DualRuleError, check_dual_rule

torch.set_num_threads(1)
pytestmark = pytest.mark.usefixtures("restored_registries")

BALL = autodual.LinfBall(0.2)


class Network(nn.Module):
    """Two layers with the Bessel function of order zero between them."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Linear(4, 8), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.special.i0(self.first(x)))


def bessel(**options) -> type[CurveOp]:
    return scalar_op("Bessel", torch.special.i0, torch.special.i1, turning=(0.0,), **options)


def saved(path: Path, network: Network, operator: str, **attributes: float) -> Path:
    """The network as an ONNX file in which an operator of a domain of its own stands for the function."""
    onnx = pytest.importorskip("onnx")
    helper = onnx.helper
    nodes = [
        helper.make_node("Gemm", ["x", "first.weight", "first.bias"], ["h"], transB=1),
        helper.make_node(operator, ["h"], ["i"], domain="com.example", **attributes),
        helper.make_node("Gemm", ["i", "last.weight", "last.bias"], ["y"], transB=1),
    ]
    ends = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in (("x", [1, 4]), ("y", [1, 2]))
    ]
    stored = [onnx.numpy_helper.from_array(value.numpy(), name) for name, value in network.state_dict().items()]
    graph = helper.make_graph(nodes, "network", ends[:1], ends[1:], stored)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.example", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


def assert_sound(model: nn.Module, dual: autodual.DualNetwork, x: Tensor) -> None:
    lower = dual.lower_bounds(x, BALL, torch.eye(2, dtype=x.dtype))
    samples = BALL.at(x).sample(500)
    values = model(samples.flatten(0, 1)).reshape(*samples.shape[:2], 2)
    assert (values >= lower - 1e-5).all() and lower.isfinite().all()


def test_one_call_serves_torch_onnx_and_the_contract_suite(tmp_path: Path) -> None:
    op = bessel(aten=("special_i0", "i0"), onnx="com.example::Bessel", accuracy=Accuracy(16))
    check_dual_rule(op(), samples=8)
    model, x = Network(), torch.rand(3, 4)
    dual = autodual.compile_dual(model, x)
    assert [node.op.kind for node in dual.plan.graph] == ["input", "linear", "bessel", "linear"]
    assert_sound(model, dual, x)
    found = autodual.certify(dual, x, autodual.LinfBall(1e-3))
    assert all(certificate.status == "certified" and certificate.execution_error is not None for certificate in found)
    loaded = load_onnx(saved(tmp_path / "net.onnx", model, "Bessel"))
    other = autodual.compile_dual(loaded)
    assert torch.equal(*(d.lower_bounds(x, BALL, torch.eye(2)) for d in (dual, other)))


def test_an_undeclared_operator_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedOpsError, match=r"com\.example\.Bessel"):
        load_onnx(saved(tmp_path / "net.onnx", Network(), "Bessel"))


def test_a_family_takes_its_parameters_from_the_operator(tmp_path: Path) -> None:
    @scalar_family(onnx={"com.example::Bent": lambda given: Bent(given.get("bend", 1.0))})
    @dataclass(frozen=True, eq=False)
    class Bent(CurveOp):
        bend: float = 1.0

        def curve(self) -> Curve:
            return Curve(lambda z: self.bend * z**2, lambda z: 2 * self.bend * z, turning=(0.0,))

    model = Network()
    loaded = load_onnx(saved(tmp_path / "bent.onnx", model, "Bent", bend=0.5))
    assert [node.op.attributes() for node in loaded.graph if node.op.kind == "bent"] == [{"bend": 0.5}]
    dual = autodual.compile_dual(loaded)
    assert_sound(loaded, dual, torch.rand(3, 4))
    with pytest.raises(UnsupportedOpsError, match="knows nothing of its attribute 'band'"):
        load_onnx(saved(tmp_path / "band.onnx", model, "Bent", band=0.5))


def test_arguments_that_the_op_does_not_know_are_refused() -> None:
    bessel(aten="special_xlog1py")
    with pytest.raises(UnsupportedOpsError, match="Bessel does not take its arguments"):
        autodual.compile_dual(Applied(lambda x: torch.special.xlog1py(x, x)), torch.rand(2, 4))


def test_an_operation_has_one_op_unless_replaced() -> None:
    with pytest.raises(ValueError, match="already lowered by Tanh"):
        bessel(aten="tanh")
    bessel(aten="special_i0")
    bessel(aten="special_i0")  # as when a notebook cell is run again
    other = scalar_op("Other", torch.special.i0, torch.special.i1, turning=(0.0,), aten="special_i0", replace=True)
    graph = autodual.compile_dual(Network(), torch.rand(2, 4)).plan.graph
    assert [type(node.op) for node in graph][2] is other


def test_a_function_that_differs_from_the_operation_is_refused() -> None:
    scalar_op("Bessel", lambda z: torch.special.i0(z) + 0.01, torch.special.i1, turning=(0.0,), aten="special_i0")
    with pytest.raises(TraceError):
        autodual.compile_dual(Network(), torch.rand(2, 4))


class Applied(nn.Module):
    """A function as a module."""

    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


# --- wrong declarations are caught ---------------------------------------------------------------------------------

TANH, SILU = ops.Tanh().curve(), ops.Silu().curve()
PLANTED = {
    "a slope that is half of the true one": replace(TANH, slope=lambda z: TANH.slope(z) / 2),
    "a slope of the wrong sign": replace(TANH, slope=lambda z: -TANH.slope(z)),
    "a slope of another function": replace(TANH, slope=lambda z: z.sigmoid() * (-z).sigmoid()),
    "no inflections": replace(TANH, inflections=()),
    "one inflection of two": replace(SILU, inflections=SILU.inflections[:1]),
    "an inflection at another place": replace(TANH, inflections=(0.3,)),
    "the curvature the wrong way round": replace(TANH, convex=False),
    "no extreme": replace(SILU, turning=()),
    "no knot": replace(ops.Elu(-1.0).curve(), knots=()),
    "a straight stretch that bends": replace(TANH, straight=((-0.5, 0.5),)),
    "limits that values leave": replace(TANH, limits=(-0.9, 1.0)),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_a_wrong_declaration_is_caught(fault: str) -> None:
    known = PLANTED[fault]

    @scalar_family()
    @dataclass(frozen=True, eq=False)
    class Planted(CurveOp):
        def curve(self) -> Curve:
            return known

    with pytest.raises(DualRuleError, match=r"DeclaredRule for Planted\(\)"):
        check_dual_rule(Planted(), samples=8)


def test_an_accuracy_that_runs_do_not_reach_is_caught() -> None:
    careless = scalar_op("Careless", torch.sinh, torch.cosh, inflections=(0.0,), convex=False, accuracy=Accuracy(0))
    with pytest.raises(DualRuleError):
        check_dual_rule(careless(), samples=8)


def test_the_table_names_no_operation_twice() -> None:
    for names in ("aten", "onnx"):
        given = [name for entry in declarations() for name in getattr(entry, names)]
        assert len(given) == len(set(given))
