"""Values of nodes of the traced graph that passes have folded into others, so that no bound was computed for them."""

from __future__ import annotations

from collections.abc import Sequence

from autodual.bounds.rounding.error_factor import error_factor, underflow
from autodual.dual.layer import DualLayer
from autodual.dual.rule import NonlinearRule
from autodual.interval import Interval
from autodual.ir.expressions import Environment
from autodual.ir.graph import Node


def interval_of_dropped(
    node: Node, how: DualLayer | NonlinearRule, inputs: Sequence[Interval], environment: Environment
) -> Interval:
    """Interval arithmetic over bounds of the node's operands, widened by its own rounding.

    Args:
        node: of the traced graph.
        how: the layer of an affine node, or the rule of another.
        inputs: one interval `[N, *shape]` per operand.
        environment: evaluates the op's parameters.
    """
    if isinstance(how, DualLayer):
        layer, found = how, how.interval(inputs)
    else:
        found = how.range(node.op, inputs, environment)
        if how.exact:
            return found
        layer = how.layer(node.op, inputs, environment, "shared")
    sizes = [bounds.magnitude for bounds in inputs]
    magnitude = layer.magnitude(sizes)
    floor = underflow(layer.terms, sizes, node.size, like=magnitude).reshape(-1, *[1] * len(node.shape))
    widened = found.widen(error_factor(layer.terms, environment.dtype) * magnitude + floor)
    return widened if isinstance(how, DualLayer) else widened.within(*how.limits(node.op))
