"""How far a run of the network in floating point may be from real arithmetic: over a whole set, for any order of sums.

A run gets each point of the set rounded to its dtype, or another no further away. Errors go forward through the graph
as it was traced, before passes fold layers. Let a run's operands be off by e, and their values be M large at most. An
affine op whose sums are off by a share γ of their terms makes

    |A|e + γ(|A|(M + e) + |b|)

of that, plus what its constants are off by, if a run computes them; nonlinear ops say for themselves (`Rule.executed`).
Where several ops are one call, γ is that of all its sums together, in any order, and of terms rather than of what is
left of them (`autodual/bounds/engine/calls.py`). See `docs/mathematics.md`, section "Execution".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from autodual.bounds.engine.calls import Call, Summing, call_name, calls_of, sums
from autodual.bounds.engine.executed_node import ExecutedNode, NodeErrors
from autodual.bounds.state.bound_state import BoundState
from autodual.dual import find_rule
from autodual.dual.execution import Executed, Precision, Run
from autodual.dual.rule import AffineRule, NonlinearRule
from autodual.ir.constant_errors import ConstantErrors, Unanalysed
from autodual.ir.graph import Graph, Node

_OVERFLOW = "a number may be larger than {} can hold"


@dataclass(frozen=True, eq=False)
class Execution:
    """How far a run in `dtype`, the network's least precise one, may be from the network in real arithmetic.

    error: for each output `[N, *shape]`, infinite where nothing bounds it; None where an op has no analysis at all.
    reason: why, in either case.
    """

    dtype: torch.dtype
    error: Tensor | None
    reason: str = ""


def execution(state: BoundState, graph: Graph, dtypes: Sequence[torch.dtype]) -> Execution:
    """The analysis of a network whose rigorous bounds a state holds.

    graph: the network as it is run, whose nodes have the values of those of the same name in the state. dtypes: in
    which it is run, the least precise one first; where there are several, every number may be rounded to any of them.
    """
    environment = state.environment
    errors = ConstantErrors(environment.lookup, environment.dtype, environment.device, *dtypes)
    walk = _Walk(state, graph, dtypes[0], Run(environment, errors, Precision.of(*dtypes)))
    try:
        found = walk.found(graph.outputs[0])
    except Unanalysed as unknown:
        return Execution(dtypes[0], None, f"{unknown} has no rounding analysis")
    error = found.error.expand(state.samples, *found.error.shape[1:])
    return Execution(dtypes[0], error, walk.reason)


@dataclass(eq=False)
class _Walk:
    """One walk through the graph; reason: what first made an error infinite."""

    state: BoundState
    graph: Graph
    dtype: torch.dtype
    run: Run
    known: dict[str, ExecutedNode] = field(default_factory=dict)
    reason: str = ""

    @cached_property
    def nodes(self) -> list[Node]:
        """Those that the output depends on."""
        return [node for node in self.graph if node.name in self.graph.ancestors[self.graph.outputs[0]]]

    @cached_property
    def how(self) -> dict[str, Summing]:
        """The layers of affine nodes, and the rules of the others."""
        found: dict[str, Summing] = {}
        for node in self.nodes:
            rule = find_rule(node.op)
            if isinstance(rule, AffineRule):
                layer = rule.layer(node, self.graph.input_shapes(node), self.run.environment)
                if layer.roundings is None:
                    raise Unanalysed(f"the op {node.op.kind}")
                found[node.name] = layer
            elif rule is not None:
                found[node.name] = rule
            elif node.name not in self.state.regions:
                raise Unanalysed(f"the op {node.op.kind}")
        return found

    @cached_property
    def calls(self) -> dict[str, Call]:
        inner = [node for node in self.nodes if node.name in self.how]
        return calls_of(self.graph, inner, self.how, self.run.precision)

    def found(self, output: str) -> Executed:
        """The output's values and errors, which are infinite where those of anything on the way to it are: of infinity
        a run may make NaN, which no function's range bounds any more.
        """
        self.run.errors.look(constant for node in self.nodes for constant in node.op.expressions())
        for node in self.nodes:
            self.known[node.name] = self._found(node)
        by_node = torch.stack([self._lost(self.known[node.name].executed.error) for node in self.nodes])
        losing = (node for node, loses in zip(self.nodes, by_node.any(1).tolist()) if loses)
        self.reason = next((self._hazard(node) for node in losing), "")
        executed = self.known[output].executed
        lost = by_node.any(0).reshape(-1, *[1] * (executed.error.dim() - 1))
        return Executed(executed.real, torch.where(lost, torch.inf, executed.error))

    def _lost(self, error: Tensor) -> Tensor:
        """Samples of which nothing bounds some scalar of a node, `[N]`."""
        return (~error.isfinite()).reshape(error.shape[0], -1).any(1).expand(self.state.samples)

    def _hazard(self, node: Node) -> str:
        how = self.how.get(node.name)
        text = how.hazard(node.op) if isinstance(how, NonlinearRule) else ""
        return text or _OVERFLOW.format(str(self.dtype).removeprefix("torch."))

    def _found(self, node: Node) -> ExecutedNode:
        """A node whose operands are known."""
        if node.name not in self.how:
            return self.errors.of_input(node)
        call = self.calls.get(call_name(node))
        operands = [self._seen(name, node, call) for name in node.inputs]
        found = self.errors.of(node, self.how[node.name], operands, call)
        if node.formula is None:
            return found
        sizes = [self.known[name].executed.size for name in node.formula.of]
        return self.errors.with_formula(found, node.formula, sizes)

    @cached_property
    def errors(self) -> NodeErrors:
        return NodeErrors(self.state, self.graph, self.run)

    def _seen(self, name: str, reader: Node, call: Call | None) -> ExecutedNode:
        """A node as another one sees it: its parts within the same call, else all that it is off by."""
        found = self.known[name]
        if call is None or not call.joined:
            return found if found.passed is found.executed.error else self._leaf(found.executed, call)
        same = call_name(self.graph[name]) == call_name(reader)
        within = same and name in self.how and sums(self.how[name]) and bool(self.graph[name].inputs)
        return found if within else self._leaf(found.executed, call)

    def _leaf(self, executed: Executed, call: Call | None) -> ExecutedNode:
        """What a call is given, with room for parts of a term whose product vanishes before the rest meets it."""
        room = 0.0 if call is None or not call.products else math.sqrt(self.run.precision.tiny / call.share)
        return ExecutedNode(executed, executed.error, executed.size + room)
