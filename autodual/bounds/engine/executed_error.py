"""How far a run of the network in floating point may be from real arithmetic: over a whole set, for any order of sums.

A run gets each point of the set rounded to its dtype, or another no further away. Errors go forward through the graph
as it was traced, before passes fold layers. Let a run's operands be off by e, and
their values be M large at most. An affine op whose terms go through n roundings makes

    |A|e + γ_n(|A|(M + e) + |b|)

of that, plus what its constants are off by, if a run computes them; nonlinear ops say for themselves (`Rule.executed`).
See `docs/mathematics.md`, section "Execution".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from autodual.bounds.rounding.error_factor import error_factor, underflow
from autodual.bounds.state.bound_state import BoundState
from autodual.dual import AffineRule, DualLayer, find_rule
from autodual.dual.execution import Executed, Precision, Run
from autodual.interval import Interval
from autodual.ir.constant_errors import ConstantErrors, Unanalysed
from autodual.ir.graph import Graph, Node


@dataclass(frozen=True, eq=False)
class Execution:
    """How far a run in `dtype` may be from the network in real arithmetic.

    error: for each output `[N, *shape]`, infinite where a run may overflow; None where an op has no analysis, for the
    `reason` given.
    """

    dtype: torch.dtype
    error: Tensor | None
    reason: str = ""


def execution(state: BoundState, graph: Graph, dtype: torch.dtype) -> Execution:
    """The analysis of a network whose rigorous bounds a state holds.

    graph: the network as it is run, whose nodes have the values of those of the same name in the state. dtype: in which
    it is run.
    """
    environment = state.environment
    errors = ConstantErrors(environment.lookup, environment.dtype, environment.device, dtype)
    analysis = _Analysis(state, graph, Run(environment, errors, Precision.of(dtype)))
    try:
        found = analysis.found(graph.outputs[0])
    except Unanalysed as unknown:
        return Execution(dtype, None, f"{unknown} has no rounding analysis")
    return Execution(dtype, found.error.expand(state.samples, *found.error.shape[1:]))


@dataclass(frozen=True, eq=False)
class _Analysis:
    """One walk through the graph. rounding: how many ops that round each call of a library function consists of."""

    state: BoundState
    graph: Graph
    run: Run
    rounding: Counter[str] = field(default_factory=Counter)

    def found(self, output: str) -> Executed:
        """The output's values and errors, which are infinite where those of anything on the way to it are: of infinity
        a run may make NaN, which no function's range bounds any more.
        """
        known: dict[str, Executed] = {}
        for node in self.graph:
            if node.name in self.graph.ancestors[output]:
                known[node.name] = self._executed(node, [known[name] for name in node.inputs])
        found = known[output]
        lost = torch.stack([self._lost(node.error) for node in known.values()]).any(0)
        lost = lost.reshape(-1, *[1] * (found.error.dim() - 1))
        return Executed(found.real, torch.where(lost, torch.inf, found.error))

    def _lost(self, error: Tensor) -> Tensor:
        """Samples of which nothing bounds some scalar of a node, `[N]`."""
        return (~error.isfinite()).reshape(error.shape[0], -1).any(1).expand(self.state.samples)

    def _rounds(self, node: Node) -> None:
        """Note an op that rounds. A function that consists of several computes in a way of its own (a softmax, a layer
        norm), of which their analysis says nothing.
        """
        self.rounding[node.source.call] += 1
        if node.source.call and self.rounding[node.source.call] > 1:
            raise Unanalysed(f"the function {node.source.target}")

    def _executed(self, node: Node, operands: Sequence[Executed]) -> Executed:
        rule = find_rule(node.op)
        if node.name in self.state.regions:
            # A run gets the nearest points that its dtype holds.
            real, precision = self.state.intervals[node.name], self.run.precision
            moved = precision.unit * real.magnitude + precision.tiny
            return Executed(real, self._capped(real, self._rounded_up(moved, 1)))
        if isinstance(rule, AffineRule):
            layer = rule.layer(node, self.graph.input_shapes(node), self.run.environment)
            real = self._interval(node, layer, operands)
            return Executed(real, self._capped(real, self._affine(node, rule, layer, operands)))
        if rule is None or node.name not in self.state.intervals:
            raise Unanalysed(f"the op {node.op.kind}")
        real = self.state.intervals[node.name]
        error = rule.executed(node.op, operands, self.run)
        if error is None:
            raise Unanalysed(f"the op {node.op.kind}")
        if not rule.exact:
            self._rounds(node)
        return Executed(real, self._capped(real, self._rounded_up(error, 64) + self.run.precision.tiny))

    def _interval(self, node: Node, layer: DualLayer, operands: Sequence[Executed]) -> Interval:
        """What the bounds say of the node; of one that a pass has folded away, interval arithmetic."""
        if node.name in self.state.intervals:
            return self.state.intervals[node.name]
        inputs = [operand.real for operand in operands]
        magnitude = layer.magnitude([bounds.magnitude for bounds in inputs])
        factor = error_factor(layer.terms, self.run.environment.dtype)
        return layer.interval(inputs).widen(factor * magnitude + self._floor(node, layer, operands))

    def _affine(self, node: Node, rule: AffineRule, layer: DualLayer, operands: Sequence[Executed]) -> Tensor:
        if layer.roundings is None:
            raise Unanalysed(f"the op {node.op.kind}")
        errors = [operand.error for operand in operands]
        if layer.roundings == 0:
            count = max((error.shape[0] for error in errors), default=1)
            error = layer.push([error.expand(count, *error.shape[1:]) for error in errors]) if errors else _zero(layer)
        else:
            self._rounds(node)
            gamma = self.run.precision.gamma(layer.roundings)
            reached = layer.magnitude([operand.size + operand.error / gamma for operand in operands])
            # No partial sum is larger, in whatever order.
            largest = self.run.precision.largest / (2 * layer.summed)
            error = torch.where(reached < largest, gamma * reached, torch.inf)
        error = self._rounded_up(error, layer.terms)
        if all(self.run.errors.exact(constant) for constant in node.op.expressions()):
            return error if layer.roundings == 0 else error + self._floor(node, layer, operands)
        # The same op with what its constants are off by in place of them: it is linear in these.
        off = rule.layer(node, self.graph.input_shapes(node), self.run.errors)
        added = self._rounded_up(off.magnitude([operand.size for operand in operands]), layer.terms)
        return error + added + self._floor(node, layer, operands)

    def _floor(self, node: Node, layer: DualLayer, operands: Sequence[Executed]) -> Tensor:
        """What underflow may cost, in the run and here, `[N, 1, …]`."""
        like = self.state.intervals[self.graph.inputs[0]].lower
        scale = max(1.0, self.run.precision.tiny / torch.finfo(like.dtype).tiny)
        floor = underflow(layer.terms, [operand.size for operand in operands], node.size, like=like)
        return (scale * floor).reshape(-1, *[1] * len(node.shape))

    def _rounded_up(self, error: Tensor, terms: int) -> Tensor:
        """An error that was computed as a sum of so many terms, none of them negative, in the bounds' own dtype."""
        return error * (1 + error_factor(terms, error.dtype))

    def _capped(self, real: Interval, error: Tensor) -> Tensor:
        """Infinite where a run may overflow."""
        return torch.where(real.magnitude + error < self.run.precision.largest / 2, error, torch.inf)


def _zero(layer: DualLayer) -> Tensor:
    value = layer.constant(())
    return torch.zeros_like(value)
