"""What a lowering rule works with: it emits nodes, reads constants and axes, and refuses what cannot be lowered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any, NoReturn

import torch
from torch import Tensor, fx, nn

from autodual.errors import BatchMixingError
from autodual.frontend.compositions import broadcast
from autodual.frontend.constants import apply
from autodual.frontend.construction import GraphUnderConstruction, Unsupported
from autodual.frontend.torch.batch_axis import BatchAxis
from autodual.frontend.torch.layout import Displaced, Layout, placed
from autodual.frontend.torch.operands import Fixed
from autodual.frontend.torch.registry import serves_any_batch_axis
from autodual.frontend.torch.source import call_of, line_of, module_of
from autodual.ir import Environment, Expression, Node, Op, Parameter, Source
from autodual.ir.expressions import number
from autodual.ir.ops import Constant, Expand
from autodual.ir.run_formula import Formula

Tensors = Mapping[str, Tensor]
"""The present values of parameters, buffers and constants by name."""

_READABLE = {"_native_batch_norm_legit_no_training": "batch_norm", "_to_copy": "to"}


class Builder:
    """The context in which the rule of one traced operation runs."""

    def __init__(self, graph: GraphUnderConstruction, batch: BatchAxis, operation: fx.Node, tensors: Tensors):
        self._graph = graph
        self._tensors = tensors
        self._operation = operation
        self.batch = batch
        #: The layout of the operands where their batch axis is not axis 0.
        self.layout: Layout | None = None
        self._leaf: tuple[str, nn.Module] | None = None
        self.source = Source(module_of(operation), line_of(operation), str(operation.target), call_of(operation))

    @property
    def target(self) -> Any:
        """The traced operation."""
        return self._operation.target

    @property
    def result(self) -> Any:
        """What torch.export recorded of the operation's result: a fake tensor, or several."""
        return self._operation.meta.get("val")

    @property
    def operands(self) -> list[Tensor]:
        """What torch.export recorded of the operation's tensor operands."""
        recorded = (node.meta.get("val") for node in self._operation.all_input_nodes)
        return [fake for fake in recorded if isinstance(fake, Tensor)]

    @property
    def shape(self) -> tuple[int, ...]:
        """The (first) result's shape for one sample; refuses an operation that merges or moves the batch axis."""
        result = self.result[0] if isinstance(self.result, (tuple, list)) else self.result
        return self.sample_shape(result.shape)

    def sample_shape(self, shape: Sequence[Any]) -> tuple[int, ...]:
        """One sample's part of a traced shape."""
        found = self.batch.place(shape)
        merged = self.layout.merged if self.layout is not None else ()
        movable = self.layout is not None or serves_any_batch_axis(self.target)
        if found is None or found[1] != prod(merged) or (found[0] and not movable):
            extents = "×".join(str(extent) for extent in shape) or "scalar"
            self.mixing(f"yields a [{extents}] tensor that does not hold one value per sample along axis 0")
        axis = found[0]
        return (*map(int, shape[:axis]), *merged, *map(int, shape[axis + 1 :]))

    def placed(self, node: Node, shape: Sequence[Any]) -> Node | Displaced:
        """A result with the layout that its traced shape shows."""
        found = self.batch.place(shape)
        assert found is not None
        outer, inner = (1, 1) if self.layout is None else (self.layout.outer, self.layout.inner)
        return placed(node, Layout(len(shape) - 1 - found[0], outer, inner))

    def emit(self, op: Op, *inputs: Node, shape: tuple[int, ...] | None = None, formula: Formula | None = None) -> Node:
        """Add `op(inputs)` to the graph; `shape` is that of one sample, by default the operation's result's.

        formula: by which libraries may compute it, too.
        """
        target = getattr(self._operation.target, "_schema", None)
        name = target.name.split("::")[-1] if target is not None else self._operation.name
        readable = _READABLE.get(name, name.lstrip("_"))
        if self._leaf is not None:
            readable = type(self._leaf[1]).__name__.lower()
        found = self.shape if shape is None else shape
        return self._graph.add(readable, op, inputs, found, self.source, formula)

    def node(self, value: Node | Fixed) -> Node:
        """A value as a node; a constant becomes one only if it has a batch axis along which it does not change."""
        if isinstance(value, Node):
            return value
        layout = self.layout or Layout(len(value.shape) - 1)
        axis = len(value.shape) - 1 - layout.after
        if axis < 0:
            self.mixing("broadcasts a constant along the batch axis")
        sample = self._without_axis(value, axis)
        shape = (*value.shape[:axis], *(1 for _ in layout.merged), *value.shape[axis + 1 :])
        return self._graph.add("constant", Constant(sample), (), tuple(map(int, shape)), self.source)

    def literal(self, value: Fixed) -> Node:
        """A constant that has no batch axis as a node of its own shape."""
        expression = self.constant(value, "constant")
        assert expression is not None
        return self._graph.add("constant", Constant(expression), (), tuple(value.shape), self.source)

    def without_batch_axis(self, value: Fixed) -> Expression:
        """One sample's part of a constant whose axis 0 is the batch axis."""
        return self._without_axis(value, 0)

    def _without_axis(self, value: Fixed, axis: int) -> Expression:
        """One sample's part of a constant whose batch axis is this one."""
        merged = self.layout.merged if self.layout is not None else ()
        if value.sample is not None and axis == 0 and not merged:
            return value.sample
        if len(value.shape) <= axis or value.shape[axis] != 1 or value.expression is None:
            self.mixing("combines the samples with a constant that differs from one position in the batch to the next")
        if merged:
            shape = (*value.shape[:axis], *(1 for _ in merged), *value.shape[axis + 1 :])
            return apply(torch.reshape, value.expression, shape)
        return apply(torch.squeeze, value.expression, axis)

    def beside(self, value: Fixed, node: Node) -> Expression:
        """A constant so that it broadcasts against one sample of `node`: a batch axis of extent 1 is dropped."""
        layout = self.layout or Layout(len(node.shape))
        rank = len(node.shape) - len(layout.merged) + 1
        if len(value.shape) > rank:
            self.mixing("broadcasts a constant with more axes than the batch, which moves the batch axis")
        if len(value.shape) > layout.after:
            return self._without_axis(value, len(value.shape) - 1 - layout.after)
        if value.expression is None:
            self.mixing("broadcasts the batch axis of a constant along another axis")
        return value.expression

    def factor(self, value: Any, node: Node) -> Expression:
        """A number or a constant as an expression that broadcasts against one sample of `node`."""
        if isinstance(value, Fixed):
            return self.beside(value, node)
        if not isinstance(value, (int, float)):
            raise Unsupported(f"a number of type {type(value).__name__} is not supported")
        return number(value)

    def expand(self, node: Node, shape: tuple[int, ...]) -> Node:
        """Repeat axes of extent 1 until one sample has `shape`, of as many axes."""
        if node.shape == shape:
            return node
        if len(node.shape) != len(shape):
            if self.layout is None:
                self.mixing("broadcasts the batch axis of one branch along another axis of the other")
            return broadcast(self, node, shape)
        return self.emit(Expand(shape), node, shape=shape)

    def aligned(self, *nodes: Node) -> tuple[Node, ...]:
        """Branches broadcast to the result's shape."""
        if self.layout is None and len({len(node.shape) for node in nodes}) > 1:
            self.mixing("broadcasts the batch axis of one branch along another axis of the other")
        return tuple(self.expand(node, self.shape) for node in nodes)

    def named(self, name: str) -> Node:
        """The node of this name that was emitted before."""
        return next(node for node in reversed(self._graph.nodes) if node.name == name)

    def batch_axis(self, node: Node) -> int:
        """Which axis of an operand's traced tensor is the batch axis."""
        return 0 if self.layout is None else self.layout.place(node)

    def is_batch_axis(self, dim: int, node: Node) -> bool:
        """Whether torch's axis `dim` of an operand is the batch axis."""
        layout = self.layout or Layout(len(node.shape))
        return dim in (layout.place(node), -layout.after - 1)

    def axis(self, dim: int, node: Node, *, new: bool = False) -> int:
        """The axis of one sample that torch calls `dim`; with `new`, the place where an axis is inserted.

        Refuses the batch axis.
        """
        layout = self.layout or Layout(len(node.shape))
        batch = layout.place(node)
        rank = len(node.shape) - len(layout.merged) + 1 + new
        place = dim + rank if dim < 0 else dim
        if new and place <= batch and self.batch.size is None:
            return place
        if place == batch:
            self.mixing(f"works along axis {batch}, the batch axis")
        return layout.sample_axis(place, node)

    def enter(self, path: str, module: nn.Module) -> None:
        """Lower a whole module from now on: `parameter` reads its parameters by their names in it."""
        self._leaf = (path, module)
        self.source = replace(self.source, target=type(module).__qualname__)

    def parameter(self, name: str) -> Expression:
        """A live parameter, buffer or other tensor of the module that is lowered as a whole, such as "weight"."""
        if self._leaf is None:
            raise Unsupported("parameter() reads those of a module that is lowered as a whole; use the arguments")
        path, module = self._leaf
        value: Any = module
        for part in name.split("."):
            value = getattr(value, part, None)
        if not isinstance(value, Tensor):
            raise Unsupported(f"its rule asks for '{name}', which is no tensor of {type(module).__name__}")
        return Parameter(f"{path}.{name}" if path else name)

    def constant(self, value: Any, role: str) -> Expression | None:
        """The expression of an operand that must not depend on the input, such as a weight; None for None."""
        if value is None:
            return None
        if isinstance(value, Node):
            raise Unsupported(f"its {role} depends on the input")
        if value.expression is None:
            self.mixing(f"uses a {role} with a batch axis")
        return value.expression

    def value(self, expression: Expression) -> Tensor:
        """A constant's present value, in float64.

        Use it only to choose between forms that compute the same, since the tensors may change later.
        """
        return Environment(self._tensors.__getitem__, torch.float64, torch.device("cpu"))(expression)

    def mixing(self, what: str) -> NoReturn:
        """Refuse the model: the operation lets samples influence each other."""
        where = f" in module '{self.source.module}'" if self.source.module else ""
        line = f" at {self.source.line}" if self.source.line else ""
        raise BatchMixingError(
            f"{self.source.target}{where}{line} {what}; a sample's output must not depend on the batch it is in, "
            "so keep axis 0 as the batch axis and work within each sample."
        )
