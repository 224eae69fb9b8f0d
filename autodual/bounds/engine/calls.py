"""Sums that several nodes of one call make together: a library may compute them in one go, in an order of its own.

`x @ W + b` is one sum in which the bias may come first, `n + z·(h - n)` may be `(1 - z)·n + z·h`. A call is therefore
taken for a polynomial of what it is given: whatever way it is written, each of its terms goes through so many
roundings at most.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Union

from autodual.dual import DualLayer
from autodual.dual.product_rule import ProductRule
from autodual.dual.rule import NonlinearRule
from autodual.ir.graph import Graph, Node
from autodual.ir.precision import Precision

#: What of a node says how it sums: its layer if it is affine, else its rule.
Summing = Union[DualLayer, NonlinearRule]


@dataclass(frozen=True)
class Call:
    """The roundings of one call. share: of Σ|terms|, by which its sums may be off. joined: whether several nodes round.

    products: whether any of these is a product of two of what it is given.
    """

    share: float
    joined: bool
    products: bool


@dataclass(frozen=True)
class _Terms:
    """A polynomial: how many terms it has, and the roundings of each beside those of their sum."""

    summands: int = 1
    factors: int = 0


def call_name(node: Node) -> str:
    """The call that a node is part of; a call of its own if it says nothing."""
    return node.source.call or f"the node {node.name}"


def sums(how: Summing) -> bool:
    """Whether a node is a polynomial of its operands: affine, a product, or what is known of its operand."""
    return isinstance(how, (DualLayer, ProductRule)) or how.stated


def calls_of(graph: Graph, nodes: Iterable[Node], how: Mapping[str, Summing], precision: Precision) -> dict[str, Call]:
    """The calls of some nodes, in topological order, by name."""
    terms: dict[str, _Terms] = {}
    shares: dict[str, list[float]] = {}
    products: Counter[str] = Counter()
    for node in nodes:
        call, own = call_name(node), how[node.name]
        operands = [
            terms[name] if call_name(graph[name]) == call and sums(how[name]) else _Terms() for name in node.inputs
        ]
        terms[node.name] = _terms(graph, node, own, operands)
        alone = _alone(graph, node, own)
        if alone:
            shares.setdefault(call, []).append(precision.gamma(alone))
            products[call] += isinstance(own, ProductRule)
    return {
        call: Call(found[0], False, False)
        if len(found) == 1
        else Call(max(*found, _largest(graph, terms, call, precision)), True, products[call] > 0)
        for call, found in shares.items()
    }


def _alone(graph: Graph, node: Node, how: Summing) -> int:
    """The roundings of a term of a node's own sum, 0 if it has none."""
    if isinstance(how, DualLayer):
        return how.roundings or 0
    return how.reads([(1, *shape) for shape in graph.input_shapes(node)]) if isinstance(how, ProductRule) else 0


def _largest(graph: Graph, terms: Mapping[str, _Terms], call: str, precision: Precision) -> float:
    found = (precision.off(one.summands, one.factors) for name, one in terms.items() if call_name(graph[name]) == call)
    return max(found)


def _terms(graph: Graph, node: Node, how: Summing, operands: list[_Terms]) -> _Terms:
    factors = max((one.factors for one in operands), default=0)
    if isinstance(how, DualLayer) and how.roundings:
        count = how.reads * max(sum(one.summands for one in operands), 1)
        return _Terms(count, factors + max(how.roundings - how.reads + 1, 0))
    if isinstance(how, ProductRule):
        (first, second) = operands
        pairs = _alone(graph, node, how) * first.summands * second.summands
        return _Terms(pairs, first.factors + second.factors + 1)
    if not sums(how):
        return _Terms()
    return _Terms(max((one.summands for one in operands), default=1), factors)
