"""What the rule of an ONNX operator works with: it adds nodes and translates between ONNX shapes and samples'."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from autodual.frontend.compositions import broadcast, concatenated, reshaped, sliced
from autodual.frontend.constants import apply
from autodual.frontend.construction import GraphUnderConstruction
from autodual.frontend.onnx.attributes import finite, placed
from autodual.frontend.onnx.file_limits import Budget
from autodual.frontend.onnx.held_tensors import Tensors
from autodual.frontend.onnx.operands import Branch, Static, Value, stored_shape
from autodual.ir import Environment, Expression, Node, Op, Source
from autodual.ir.expressions import number
from autodual.ir.ops import Constant, ElementwiseAffine
from autodual.ir.run_formula import Formula


@dataclass(frozen=True, eq=False)
class OnnxBuilder:
    """The context in which the rule of one operator runs. dtype: of its result, unless the rule says otherwise."""

    graph: GraphUnderConstruction
    tensors: Tensors
    name: str
    source: Source
    budget: Budget
    dtype: np.dtype = field(default_factory=lambda: np.dtype(np.float32))

    # --- nodes -------------------------------------------------------------------------------------------------------

    def emit(self, op: Op, *inputs: Node, shape: tuple[int, ...] | None = None, formula: Formula | None = None) -> Node:
        """Add `op(inputs)` to the graph; its result has `shape` for one sample, by default the first operand's.

        formula: by which libraries may compute it, too.
        """
        return self._add(self.name, op, inputs, inputs[0].shape if shape is None else tuple(shape), formula)

    def _add(
        self, name: str, op: Op, inputs: Sequence[Node], shape: tuple[int, ...], formula: Formula | None = None
    ) -> Node:
        self.budget.add_node(f"the operator {self.source.line}", shape)
        return self.graph.add(name, op, inputs, shape, self.source, formula)

    def branch(self, node: Node, shape: Sequence[int], dtype: Any = None) -> Branch:
        """A node's scalars, in their order, as a value of the ONNX shape `shape`."""
        found = np.dtype(self.dtype if dtype is None else dtype)
        return Branch(reshaped(self, node, stored_shape(shape)), tuple(shape), found)

    def unary(self, op: Op, x: Branch) -> Branch:
        """The value that an elementwise op makes of another."""
        return self.branch(self.emit(op, x.node), x.shape)

    def node(self, x: Value, shape: Sequence[int] | None = None) -> Node:
        """A value as a node of its stored shape, first broadcast to the ONNX shape `shape` if one is given."""
        if isinstance(x, Static):
            stored = stored_shape(x.shape)
            constant = Constant(self.constant(x if stored == x.shape else x.array.reshape(stored)))
            node = self._add("constant", constant, (), stored)
        else:
            node = x.node
        return node if shape is None else broadcast(self, node, stored_shape(shape))

    def full(self, x: Value) -> Node:
        """A value as a node of its whole ONNX shape."""
        return reshaped(self, self.node(x), x.shape)

    def along(self, x: Value, axes: Sequence[int]) -> tuple[Node, tuple[int, ...]]:
        """A value's node, and which axes of it ONNX calls `axes`; one of these that the graph drops is added again."""
        places = placed(axes, len(x.shape))
        dropped = len(x.shape) - len(stored_shape(x.shape))
        if dropped and 0 in places:
            return self.full(x), places
        return self.node(x), tuple(place - dropped for place in places)

    def per_sample(self, x: Branch, rule: Callable[[Node], Node]) -> Branch:
        """Apply a rule to each entry `[C, *spatial]` along axis 0 of a value `[B, C, *spatial]`."""
        if x.dropped:
            result = rule(x.node)
            return self.branch(result, (1, *result.shape))
        if x.shape[0] == 1:
            result = rule(reshaped(self, x.node, x.shape[1:]))
            return self.branch(result, (1, *result.shape))
        parts = []
        for place in range(x.shape[0]):
            result = rule(reshaped(self, sliced(self, x.node, 0, place, place + 1), x.shape[1:]))
            parts.append(reshaped(self, result, (1, *result.shape)))
        return self.branch(concatenated(self, parts, 0), (x.shape[0], *parts[0].shape[1:]))

    def named(self, name: str) -> Node:
        """The node of this name that was emitted before."""
        return next(node for node in reversed(self.graph.nodes) if node.name == name)

    # --- constants ---------------------------------------------------------------------------------------------------

    def weight(self, x: Static) -> Expression:
        """A weight: a parameter of the network, which may be trained."""
        return self.tensors.parameter(x)

    def constant(self, x: Static | np.ndarray) -> Expression:
        """A constant: a buffer of the network."""
        return self.tensors.buffer(x if isinstance(x, Static) else Static(x))

    def value(self, expression: Expression) -> Tensor:
        """A constant's present value, in float64."""
        return Environment(self.tensors.find, torch.float64, torch.device("cpu"))(expression)

    def beside(self, x: Static, shape: Sequence[int]) -> Expression:
        """A constant in the form that broadcasts against the stored form of a value of the ONNX shape `shape`."""
        if x.array.size == 1:
            return number(finite(float(x.array.reshape(()))))
        dropped = len(shape) - len(stored_shape(shape))
        if x.array.ndim == len(shape) and dropped:
            return apply(torch.squeeze, self.constant(x), 0)
        return self.constant(x)

    def reserve(self, entries: int) -> None:
        """Charge the budget for a constant about to be computed; refuse one that is far larger than the file."""
        self.budget.add_constant(8 * entries)

    def affine(self, x: Branch, factor: Static | None = None, offset: Static | None = None) -> Branch:
        """x · factor + offset, all broadcast together."""
        shapes = [value.shape for value in (x, factor, offset) if value is not None]
        shape = tuple(np.broadcast_shapes(*shapes))
        node = self.node(x, shape)
        op = ElementwiseAffine(
            None if factor is None else self.beside(factor, shape),
            None if offset is None else self.beside(offset, shape),
        )
        return self.branch(self.emit(op, node), shape)

    def scaled(self, x: Branch, factor: float | None = None, offset: float | None = None) -> Branch:
        """x · factor + offset with numbers."""
        op = ElementwiseAffine(None if factor is None else number(factor), None if offset is None else number(offset))
        return self.unary(op, x)

    def alike(self, *values: Value) -> tuple[tuple[Node, ...], tuple[int, ...]]:
        """Values as nodes, broadcast together, and the ONNX shape that they have then."""
        shape = tuple(np.broadcast_shapes(*(value.shape for value in values)))
        return tuple(self.node(value, shape) for value in values), shape
