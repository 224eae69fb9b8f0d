"""Forward mode with few columns: what random projections see of each node (Algorithm 3, corrected).

A node is an affine function of the inputs and of one ξ, |ξ| ≤ 1, for each relaxed unit before it (`push.py`). Half the
width of a unit's bound is a sum of norms of its coefficients: the l1 norm of all that stem from boxes and relaxations,
together, and an l2 norm for each round ball. A *sketch* holds the products of every node's coefficients with the same
random columns, all of a term's sources in one: pushing it through a layer costs what `count` forward passes cost,
however many units there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from autodual.bounds.columns.push import push_through
from autodual.bounds.state.bound_state import BoundState
from autodual.estimators import Estimator, Stream
from autodual.ir.graph import Node
from autodual.tensors import flat, laid_out_like


@dataclass(frozen=True, eq=False)
class Term:
    """One of the norms whose sum is half the width of every bound.

    weights: by input, what its coefficients count `[N or 1, *shape]`. relaxed: relaxations' heights belong to it too.
    """

    name: str
    estimator: Estimator
    weights: Mapping[str, Tensor]
    relaxed: bool

    def reaches(self, state: BoundState, name: str) -> bool:
        """Whether any of the term's sources lies before a node, whose layers are known."""
        before = state.graph.ancestors[name]
        heights = (state.layers[other].spread() for other in before if self.relaxed and other in state.layers)
        return any(source in before for source in self.weights) or any(height is not None for height in heights)


class Sketch:
    """Columns first to first + count of a term's random columns, pushed to the nodes that are asked for.

    Of nodes that nobody will read again nothing is kept, unless gradients need it.
    """

    def __init__(self, state: BoundState, term: Term, stream: Stream, first: int, count: int):
        self.state, self.term, self.stream = state, term, stream
        self.first, self.count = first, count
        #: The largest random number of each column so far, and at least 1: `[count]`.
        self.peak = torch.ones(count, dtype=state.environment.dtype, device=state.environment.device)
        self._columns: dict[str, Tensor | None] = {}
        self._done: set[str] = set()

    @property
    def reached(self) -> frozenset[str]:
        """The nodes whose columns have been made."""
        return frozenset(self._done)

    def at(self, name: str) -> Tensor:
        """`[count, N or 1, *shape]`, of a node that the term reaches."""
        graph = self.state.graph
        for node in graph.nodes[: graph.positions[name] + 1]:
            if node.name in graph.ancestors[name] and node.name not in self._done:
                self._columns[node.name] = self._at(node)
                self._done.add(node.name)
                self._forget(node, name)
        columns = self._columns[name]
        assert columns is not None, "none of the term's sources reaches this node"
        return columns

    def _forget(self, node: Node, asked: str) -> None:
        for operand in node.inputs:
            if operand != asked and self._done.issuperset(self.state.graph.users[operand]):
                self._columns.pop(operand, None)

    def _at(self, node: Node) -> Tensor | None:
        state = self.state
        if node.name in state.regions:
            weights = self.term.weights.get(node.name)
            return None if weights is None else self._source(node, weights) * weights
        layer = state.layers[node.name]
        operands = [self._columns[name] for name in node.inputs]
        height = layer.spread() if self.term.relaxed else None
        if height is not None:
            return layer.push_with_noise(operands, self._source(node, height))
        return None if all(operand is None for operand in operands) else push_through(layer, operands)

    def _source(self, node: Node, like: Tensor) -> Tensor:
        """The random columns at a source, `[count, 1, *shape]`: the same for all samples."""
        offset = self.state.offsets[node.name]
        stream = self.stream.branch(node.name)
        columns = self.term.estimator.columns(stream, node.shape, offset, self.first, self.count, like)
        if self.state.options.rigorous:
            self.peak = self.peak.maximum(flat(columns).abs().amax(1))
        return laid_out_like(like, columns).unsqueeze(1)
