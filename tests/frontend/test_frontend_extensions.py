"""Operations of torch.library and whole modules that users teach the frontend in a few lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from support.agreement import Applied, assert_same
from torch import Tensor, nn

from autodual.errors import BatchMixingError, TraceError, UnsupportedOpsError
from autodual.extend import Builder, Environment, Expression, Node, Op, lowers, lowers_module
from autodual.frontend import trace
from autodual.ir import Call
from autodual.ir.expressions import number
from autodual.ir.ops import ElementwiseAffine, Power, Relu

torch.set_num_threads(1)


@torch.library.custom_op("autodual_tests::cube", mutates_args=())
def cube(x: Tensor) -> Tensor:
    return torch.from_numpy(x.numpy() ** 3)


@cube.register_fake
def _(x: Tensor) -> Tensor:
    return torch.empty_like(x)


@lowers(torch.ops.autodual_tests.cube)
def lower_cube(builder: Builder, x: Any) -> Node:
    return builder.emit(Power(3.0), builder.node(x))


def test_an_operation_of_torch_library_named_without_its_overload() -> None:
    traced = assert_same(Applied(lambda m, x: torch.ops.autodual_tests.cube(x @ m.square) + 1), (4,))
    assert [node.op.kind for node in traced.graph] == ["input", "linear", "power", "elementwise_affine"]


@dataclass(frozen=True, eq=False)
class SquaredDistance(Op):
    """‖x - c‖² to each of some centres `[K, D]`."""

    centres: Expression

    def forward(self, inputs: Any, environment: Environment) -> Tensor:
        return torch.cdist(inputs[0], environment(self.centres)).square()


class Prototypes(nn.Module):
    """torch.cdist has no rule, so that this can only be lowered as a whole."""

    def __init__(self, count: int = 3):
        super().__init__()
        self.centres = nn.Parameter(torch.randn(count, 4, generator=torch.Generator().manual_seed(0)))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cdist(x, self.centres).square()


@lowers_module(Prototypes)
def lower_prototypes(builder: Builder, module: Prototypes, x: Any) -> Node:
    return builder.emit(SquaredDistance(builder.parameter("centres")), builder.node(x))


def network(first: nn.Module, second: nn.Module | None = None) -> nn.Module:
    return nn.Sequential(nn.Linear(4, 4), first, nn.Linear(3, 4), second or first)


def test_a_module_becomes_one_node_with_live_parameters() -> None:
    model = network(Prototypes(), Prototypes(5))
    traced = assert_same(model, (4,))
    leaves = [node for node in traced.graph if node.op.kind == "squared_distance"]
    assert [node.name for node in leaves] == ["prototypes", "prototypes_1"]
    assert [(node.source.module, node.source.target) for node in leaves] == [("1", "Prototypes"), ("3", "Prototypes")]
    assert {"1.centres", "3.centres"} <= set(traced.names)


def test_one_module_used_twice_has_one_set_of_parameters() -> None:
    traced = assert_same(network(Prototypes()), (4,))
    assert {name for name in traced.names if "centres" in name} == {"1.centres"}


def test_the_model_itself_may_be_lowered_as_a_module() -> None:
    traced = assert_same(Prototypes(), (4,))
    assert traced.names == ("centres",)


class Broken(Prototypes):
    """A subclass, to which its base class' rule does not apply."""


class Gate(nn.Module):
    """Takes two tensors and a number, returns two tensors."""

    def forward(self, x: Tensor, y: Tensor, *, factor: float = 1.0) -> tuple[Tensor, Tensor]:
        return x.relu() * factor, torch.special.i0(y) * 0 + 1


class SoftGate(Gate):
    """A subclass, to which its base class' rule applies."""


@lowers_module(Gate, subclasses=True)
def lower_gate(builder: Builder, module: Gate, x: Node, y: Node, *, factor: float = 1.0) -> tuple[Node, Node]:
    scaled = builder.emit(ElementwiseAffine(Call(float, (factor,))), builder.emit(Relu(), x))
    return scaled, builder.emit(ElementwiseAffine(Call(float, (0,)), Call(float, (1,))), y)


class Gated(nn.Module):
    def __init__(self, gate: nn.Module):
        super().__init__()
        self.gate = gate

    def forward(self, x: Tensor) -> Tensor:
        first, second = self.gate(x, x + 1, factor=0.3)
        return first + second


@pytest.mark.parametrize("gate", [Gate, SoftGate])
def test_several_operands_and_results_and_subclasses(gate: type[nn.Module]) -> None:
    assert_same(Gated(gate()), (4,))


def test_subclasses_do_not_inherit_a_rule_by_default() -> None:
    with pytest.raises(UnsupportedOpsError, match="cdist"):
        trace(network(Broken()), torch.randn(2, 4))


def test_the_model_is_left_as_found_also_after_errors() -> None:
    class Failing(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise RuntimeError("on purpose")

    model = nn.Sequential(Prototypes(), Failing())
    before = [dict(vars(module)) for module in model.modules()]
    with pytest.raises(TraceError, match="on purpose"):
        trace(model, torch.randn(2, 4))
    assert [dict(vars(module)) for module in model.modules()] == before
    trace(model[0], torch.randn(2, 4))
    assert "forward" not in vars(model[0])
    own = Prototypes()
    own.forward = lambda x: x * 2  # type: ignore[method-assign]
    kept = own.forward
    with pytest.raises(TraceError, match=r"yields the shape \[3\] a sample where the model yields \[4\]"):
        trace(own, torch.randn(2, 4))
    assert own.forward is kept


def test_a_moved_batch_axis_is_refused_by_module_rules() -> None:
    with pytest.raises(BatchMixingError, match="moved or merged"):
        trace(Moving(), torch.randn(2, 4))


class Moving(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gate = Gate()

    def forward(self, x: Tensor) -> Tensor:
        return self.gate(x.T, x.T)[0].T


def test_a_missing_parameter_of_a_module_is_named() -> None:
    class Plain(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x

    @lowers_module(Plain)
    def lower_plain(builder: Builder, module: Plain, x: Node) -> Node:
        return builder.emit(ElementwiseAffine(builder.parameter("missing")), x)

    with pytest.raises(UnsupportedOpsError, match="asks for 'missing', which is no tensor of Plain"):
        trace(Plain(), torch.randn(2, 4))
    with pytest.raises(ValueError, match=r"Plain is already lowered by .*lower_plain"):
        lowers_module(Plain)(lambda builder, module, x: x)


def test_lowerings_may_be_defined_again() -> None:
    """As when notebook cells are run again; a lowering of another name needs replace=True."""

    class Plain(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * self.factor

        factor = 2.0

    def define(factor: float, **options: bool) -> None:
        @lowers_module(Plain, **options)
        def lower_plain(builder: Builder, module: Plain, x: Node) -> Node:
            return builder.emit(ElementwiseAffine(number(factor)), x)

    define(3.0)
    with pytest.raises(TraceError, match="differs from the model"):
        trace(Plain(), torch.randn(2, 4))
    define(2.0)
    assert trace(Plain(), torch.randn(2, 4)).graph.outputs

    def another(builder: Builder, module: Plain, x: Node) -> Node:
        return builder.emit(ElementwiseAffine(number(2.0)), x)

    with pytest.raises(ValueError, match="or pass replace=True"):
        lowers_module(Plain)(another)
    assert lowers_module(Plain, replace=True)(another) is another
