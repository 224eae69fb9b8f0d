"""Rules of ops that move, copy or drop scalars: reshapes, slices, padding, concatenation; and of constants."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from autodual.dual.affine import AffineLayer, StructuralLayer
from autodual.dual.layer import Contribution, DualLayer
from autodual.dual.registry import dual_rule
from autodual.dual.row_products import inner
from autodual.dual.rows import Rows
from autodual.dual.rule import AffineRule
from autodual.interval import Interval
from autodual.ir import ops
from autodual.ir.expressions import Environment
from autodual.ir.graph import Node


class MovingLayer(StructuralLayer):
    """Scalars of the inputs moved, copied or dropped, none of them changed."""

    @property
    def roundings(self) -> int:
        return 0


class SliceLayer(MovingLayer):
    """Evenly spaced entries along one axis: rows are laid out again with zeros between; windows stay windows."""

    windowed = True
    uniform = True

    def __init__(self, node: Node, shapes: Sequence[tuple[int, ...]], environment: Environment):
        super().__init__(node, shapes, environment, monotone=True)
        assert isinstance(node.op, ops.Slice)
        self.op = node.op

    def pull(self, rows: Rows) -> tuple[Rows, ...]:
        op, shape = self.op, self.shapes[0]
        values, axis = rows.crop().values, op.axis + 2
        if rows.window is not None and op.axis > 0:
            spatial = len(rows.extent) - 1
            start, step = ([base] * spatial for base in (0, 1))
            start[op.axis - 1], step[op.axis - 1] = op.start, op.step
            window = rows.window.moved(step, [-first for first in start])
            extent = self._spaced(values.shape[axis])
            return (rows.with_values(_laid_out(values, axis, extent, 0, op.step), shape=shape, window=window),)
        whole = _laid_out(values, axis, shape[op.axis], op.start, op.step)
        return (rows.with_values(whole, shape=shape),)

    def reach(self, extent: Sequence[int]) -> tuple[int, ...]:
        grown = list(extent)
        if self.op.axis > 0:
            grown[self.op.axis - 1] = self._spaced(extent[self.op.axis - 1])
        return tuple(grown)

    def _spaced(self, count: int) -> int:
        """Extent from the first to the last of `count` entries."""
        return (count - 1) * self.op.step + 1

    @property
    def terms(self) -> int:
        return 1


def _laid_out(values: Tensor, axis: int, extent: int, start: int, step: int) -> Tensor:
    """Values at start, start + step, … along an axis of the given extent, zero elsewhere."""
    count = values.shape[axis]
    if count == extent:
        return values
    shape = (*values.shape[:axis], extent, *values.shape[axis + 1 :])
    whole = values.new_zeros(shape)
    index = [slice(None)] * values.dim()
    index[axis] = slice(start, start + (count - 1) * step + 1, step)
    whole[tuple(index)] = values
    return whole


@dual_rule(ops.Slice)
class SliceRule(AffineRule):
    """Slices, and the branches of max-pooling."""

    moves = True
    reads_once = True

    def layer(self, node: Node, shapes: Sequence[tuple[int, ...]], environment: Environment) -> DualLayer:
        return SliceLayer(node, shapes, environment)


@dual_rule(ops.Expand, ops.Take)
class MovingRule(AffineRule):
    """Scalars of one input moved, copied or dropped."""

    moves = True

    def layer(self, node: Node, shapes: Sequence[tuple[int, ...]], environment: Environment) -> DualLayer:
        return MovingLayer(node, shapes, environment, monotone=True)


class PadLayer(AffineLayer):
    """The pad value is the constant term, rounded unless it is zero."""

    @property
    def roundings(self) -> int:
        assert isinstance(self.node.op, ops.Pad)
        return int(self.node.op.value != 0)


@dual_rule(ops.Pad)
class PadRule(AffineRule):
    """Constant padding."""

    def layer(self, node: Node, shapes: Sequence[tuple[int, ...]], environment: Environment) -> DualLayer:
        return PadLayer(node, shapes, environment, monotone=True)


class ReshapeLayer(MovingLayer):
    """The same scalars in another shape: rows are viewed, not moved."""

    def pull(self, rows: Rows) -> tuple[Rows, ...]:
        return (rows.reshaped(self.shapes[0]),)

    @property
    def terms(self) -> int:
        return 1

    @property
    def multiplications(self) -> int:
        return 0


@dual_rule(ops.Reshape)
class ReshapeRule(AffineRule):
    """Flatten, view, squeeze, unsqueeze."""

    moves = True
    reads_once = True

    def layer(self, node: Node, shapes: Sequence[tuple[int, ...]], environment: Environment) -> DualLayer:
        return ReshapeLayer(node, shapes, environment, monotone=True)


class PermuteLayer(MovingLayer):
    """Axes in another order."""

    def pull(self, rows: Rows) -> tuple[Rows, ...]:
        op = self.node.op
        assert isinstance(op, ops.Permute)
        inverse = sorted(range(len(op.order)), key=op.order.__getitem__)
        return (rows.with_values(rows.values.permute(0, 1, *(axis + 2 for axis in inverse)), shape=self.shapes[0]),)

    @property
    def terms(self) -> int:
        return 1


@dual_rule(ops.Permute)
class PermuteRule(AffineRule):
    """Transposes and permutations."""

    moves = True
    reads_once = True

    def layer(self, node: Node, shapes: Sequence[tuple[int, ...]], environment: Environment) -> DualLayer:
        return PermuteLayer(node, shapes, environment, monotone=True)


class ConcatenateLayer(MovingLayer):
    """Branches side by side: each gets its own slice of the rows, with its window where the axis is the channels'."""

    windowed = True

    @property
    def uniform(self) -> bool:  # type: ignore[override]
        """Whether the branches lie side by side along the channels."""
        return self.node.op.axis == 0  # type: ignore[attr-defined]

    def pull(self, rows: Rows) -> tuple[Rows, ...]:
        op = self.node.op
        assert isinstance(op, ops.Concatenate)
        if rows.window is not None and op.axis != 0:
            rows = rows.dense()
        parts = rows.values.split([shape[op.axis] for shape in self.shapes], dim=op.axis + 2)
        return tuple(rows.with_values(part, shape=shape) for part, shape in zip(parts, self.shapes))

    @property
    def terms(self) -> int:
        return 1


@dual_rule(ops.Concatenate)
class ConcatenateRule(AffineRule):
    """Concatenated branches, as in dense skip connections."""

    def layer(self, node: Node, shapes: Sequence[tuple[int, ...]], environment: Environment) -> DualLayer:
        return ConcatenateLayer(node, shapes, environment, monotone=True)


class ConstantLayer(DualLayer):
    """A tensor that does not depend on the input: it only adds to the objective."""

    windowed = True

    def __init__(self, value: Tensor):
        self.value = value

    def pull(self, rows: Rows) -> tuple[Rows, ...]:
        return ()

    def objective(self, rows: Rows) -> Contribution:
        return Contribution(centre=inner(rows.crop(), self.value))

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        return Interval(self.value, self.value)

    @property
    def terms(self) -> int:
        return self.value[0].numel()

    @property
    def roundings(self) -> int:
        """Of the conversion to the dtype of a computation."""
        return 1

    def push(self, columns: Sequence[Tensor | None]) -> Tensor:
        raise AssertionError("a constant has no inputs to push from")

    def constant(self, inputs: Sequence[Tensor]) -> Tensor:
        return self.value

    def along(self, rows: Rows, points: Sequence[Tensor]) -> Tensor:
        return rows.features(self.value).expand(-1, rows.count, *self.value.shape[1:])


@dual_rule(ops.Constant)
class ConstantRule(AffineRule):
    """Class tokens, masks, constant branches."""

    def layer(self, node: Node, shapes: Sequence[tuple[int, ...]], environment: Environment) -> DualLayer:
        return ConstantLayer(node.op.forward((), environment))
