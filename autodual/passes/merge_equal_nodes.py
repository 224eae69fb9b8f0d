"""Makes one node of nodes that compute the same from the same operands."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from autodual.passes.base import Pass

if TYPE_CHECKING:
    from autodual.ir import Node
    from autodual.passes.plan import Plan


@dataclass(frozen=True)
class MergeEqualNodes(Pass):
    """One node in place of several with equal ops and operands.

    Users write `x.exp() / x.exp().sum()`. Bounds see that both exponentials are one number only if they are one node.

    Example:
        >>> import autodual, torch
        >>> class Twice(torch.nn.Module):
        ...     def forward(self, x):
        ...         return x.relu() - x.relu()
        >>> plan = autodual.compile_dual(Twice(), torch.zeros(1, 3)).plan
        >>> [node.op.kind for node in plan.graph]
        ['input', 'relu', 'subtract']
    """

    name: ClassVar[str] = "merge-equal-nodes"

    def run(self, plan: Plan) -> Plan:
        first: dict[Hashable, str] = {}
        stands_for: dict[str, str] = {}
        kept: list[Node] = []
        for node in plan.graph:
            node = replace(node, inputs=tuple(stands_for.get(name, name) for name in node.inputs))
            # Inputs are alike, and yet different numbers.
            same = node.name if node.name in plan.graph.inputs else first.setdefault(_key(node), node.name)
            if same == node.name:
                kept.append(node)
            else:
                stands_for[node.name] = same
        outputs = tuple(stands_for.get(name, name) for name in plan.graph.outputs)
        return replace(plan, graph=plan.graph.with_nodes(kept, outputs))


def _key(node: Node) -> Hashable:
    """Equal for nodes that compute the same."""
    return _alike(node.op), node.inputs, node.shape


def _alike(value: Any) -> Hashable:
    """Equal for ops, expressions and attributes that say the same; what cannot be looked into equals itself alone."""
    if isinstance(value, (tuple, list)):
        return tuple(map(_alike, value))
    if is_dataclass(value) and not isinstance(value, type):
        return type(value), tuple(_alike(getattr(value, field.name)) for field in fields(value))
    if value is None or isinstance(value, (bool, int, float, str)):
        return type(value), repr(value)
    return id(value)
