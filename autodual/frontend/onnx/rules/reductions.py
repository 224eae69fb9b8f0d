"""Rules of sums, means and extremes over axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from autodual.frontend import compositions
from autodual.frontend.onnx.attributes import Attributes, placed, whole_numbers
from autodual.frontend.onnx.builder import OnnxBuilder
from autodual.frontend.onnx.operands import Branch, Value
from autodual.frontend.onnx.registry import onnx_op
from autodual.frontend.onnx.rules.picking import picked_along
from autodual.ir import Node
from autodual.ir.ops import CumulativeSum, Log, Subtract

Reduction = Callable[[OnnxBuilder, Node, Sequence[int]], Node]
"""Reduces axes of a node, which stay with extent 1."""


def _log_sum(builder: OnnxBuilder, node: Node, axes: Sequence[int]) -> Node:
    return builder.emit(Log(), compositions.summed(builder, node, axes))


def _product(builder: OnnxBuilder, node: Node, axes: Sequence[int]) -> Node:
    for axis in axes:
        node = compositions.running_products(builder, node, axis)[-1]
    return node


_REDUCTIONS: dict[str, Reduction] = {
    "ReduceSum": compositions.summed,
    "ReduceMean": compositions.mean,
    "ReduceMax": compositions.largest,
    "ReduceMin": compositions.smallest,
    "ReduceSumSquare": partial(compositions.power_sum, order=2),
    "ReduceL2": compositions.norm,
    "ReduceL1": partial(compositions.norm, order=1),
    "ReduceLogSum": _log_sum,
    "ReduceLogSumExp": compositions.log_sum_exp,
    "ReduceProd": _product,
}


def _rule(reduce: Reduction) -> Callable[..., Branch]:
    def rule(builder: OnnxBuilder, attributes: Attributes, x: Branch, axes: Value | None = None) -> Branch:
        """Axes are an attribute in old operator sets, an operand in newer ones; without axes it reduces all of them."""
        rank = len(x.shape)
        given = attributes.axes(axes)
        if not given:
            if attributes.get("noop_with_empty_axes", 0):
                # The reduction of each entry by itself, along a new axis: a norm makes of it its absolute value.
                alone = compositions.reshaped(builder, x.node, (*x.node.shape, 1))
                return builder.branch(reduce(builder, alone, (len(x.node.shape),)), x.shape)
            given = tuple(range(rank))
        places = placed(given, rank)
        wanted = [1 if axis in places else n for axis, n in enumerate(x.shape)]
        if not attributes.get("keepdims", 1):
            wanted = [extent for axis, extent in enumerate(wanted) if axis not in places]
        # Over an axis of extent 1 a sum does nothing, but a norm takes the absolute value: one axis at least must stay.
        node, within = builder.along(x, [p for p in places if not (p == 0 and x.dropped)])
        if not within:
            node, within = builder.along(x, places)
        return builder.branch(reduce(builder, node, within), wanted)

    return rule


for _name, _reduction in _REDUCTIONS.items():
    onnx_op(_name)(_rule(_reduction))


@onnx_op("CumSum")
def cumulative_sum(builder: OnnxBuilder, attributes: Attributes, x: Branch, axis: Value) -> Branch:
    """Sums of all entries so far, or of those after; with or without the entry itself."""

    def sums(node: Node, within: int) -> Node:
        found = builder.emit(CumulativeSum(within), node)
        return builder.emit(Subtract(), found, node) if attributes.get("exclusive", 0) else found

    return _cumulative(builder, attributes, x, axis, sums)


@onnx_op("CumProd")
def cumulative_product(builder: OnnxBuilder, attributes: Attributes, x: Branch, axis: Value) -> Branch:
    """Products of all entries so far, or of those after; with or without the entry itself."""

    def products(node: Node, within: int) -> Node:
        found = compositions.running_products(builder, node, within)
        if attributes.get("exclusive", 0):
            found = [compositions.affine(builder, found[0], 0.0, 1.0), *found[:-1]]
        return compositions.concatenated(builder, found, within)

    return _cumulative(builder, attributes, x, axis, products)


def _cumulative(
    builder: OnnxBuilder, attributes: Attributes, x: Branch, axis: Value, rule: Callable[[Node, int], Node]
) -> Branch:
    """A rule along one axis, from its first entry on or from its last."""
    (place,) = placed(whole_numbers(axis, "axis"), len(x.shape))
    flipped = list(reversed(range(x.shape[place])))
    backwards = bool(attributes.get("reverse", 0))
    node, (within,) = builder.along(picked_along(builder, x, place, flipped) if backwards else x, (place,))
    result = builder.branch(rule(node, within), x.shape)
    return picked_along(builder, result, place, flipped) if backwards else result
