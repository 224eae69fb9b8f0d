"""How far a node of a run may be off, given what its operands are off by; `executed_error.py` goes through all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from autodual.bounds.engine.calls import Call, Summing
from autodual.bounds.engine.dropped_nodes import interval_of_dropped
from autodual.bounds.rounding.error_factor import error_factor
from autodual.bounds.state.bound_state import BoundState
from autodual.dual import DualLayer, find_rule
from autodual.dual.execution import Executed, Run
from autodual.dual.product_rule import ProductRule
from autodual.dual.rule import AffineRule, NonlinearRule
from autodual.interval import Interval
from autodual.ir.constant_errors import Unanalysed
from autodual.ir.graph import Graph, Node
from autodual.ir.run_formula import Formula


@dataclass(frozen=True, eq=False)
class ExecutedNode:
    """A node on the walk.

    passed: what it is off by without the roundings of its own call's sums. expanded: their terms, each with its size,
    added up; both as the rest of the call sees them.
    """

    executed: Executed
    passed: Tensor
    expanded: Tensor


#: As a node sees them.
Operands = Sequence[ExecutedNode]


@dataclass(frozen=True, eq=False)
class NodeErrors:
    """What single nodes of a graph are off by in a run.

    state: has the rigorous bounds of the nodes' values. graph: the network as it is run.
    """

    state: BoundState
    graph: Graph
    run: Run

    def of_input(self, node: Node) -> ExecutedNode:
        """An input: a run gets the nearest points that its dtype holds."""
        real, precision = self.state.intervals[node.name], self.run.precision
        return self._alone(real, self._rounded_up(precision.unit * real.magnitude + precision.tiny, 1))

    def of(self, node: Node, how: Summing, operands: Operands, call: Call | None) -> ExecutedNode:
        """A node that computes something.

        how: its layer if it is affine, else its rule. call: that computes it, if it sums.
        """
        if isinstance(how, DualLayer):
            return self._affine(node, how, operands, call)
        if how.stated:
            return self._stated(self._interval(node, how, operands), operands[0])
        if isinstance(how, ProductRule):
            assert call is not None
            return self._product(node, how, operands, call)
        return self._nonlinear(node, how, operands)

    def with_formula(self, found: ExecutedNode, formula: Formula, sizes: Sequence[Tensor]) -> ExecutedNode:
        """A node with room for another formula by which a library may compute it from values of these sizes."""
        off = self._rounded_up(formula.off(sizes, self.run.environment, self.run.precision), 64)
        executed = found.executed
        error = self._capped(executed.real, executed.error + off)
        return ExecutedNode(Executed(executed.real, error, executed.least), found.passed + off, found.expanded)

    def _alone(self, real: Interval, error: Tensor, least: float = -math.inf) -> ExecutedNode:
        executed = Executed(real, self._capped(real, error), least)
        return ExecutedNode(executed, executed.error, executed.size)

    def _stated(self, real: Interval, operand: ExecutedNode) -> ExecutedNode:
        """What a run does not compute: its operand's values, of which more is known."""
        executed = Executed(real, operand.executed.error, operand.executed.least)
        return ExecutedNode(executed, operand.passed, operand.expanded)

    def _nonlinear(self, node: Node, rule: NonlinearRule, operands: Operands) -> ExecutedNode:
        error = rule.executed(node.op, [operand.executed for operand in operands], self.run)
        if error is None:
            raise Unanalysed(f"the op {node.op.kind}")
        if not rule.exact:
            error = self._rounded_up(error, 64) + self._tiny
        least = 0.0 if rule.limits(node.op)[0] >= 0 else -math.inf
        return self._alone(self._interval(node, rule, operands), error, least)

    def _product(self, node: Node, rule: ProductRule, operands: Operands, call: Call) -> ExecutedNode:
        executed = [operand.executed for operand in operands]
        expanded = rule.product(operands[0].expanded, operands[1].expanded)
        count = rule.reads([operand.expanded.shape for operand in operands])
        passed = rule.passed(executed, [operand.passed for operand in operands]) + 2 * count * self._tiny
        return self._summed(node, self._interval(node, rule, operands), passed, expanded, call, count)

    def _affine(self, node: Node, layer: DualLayer, operands: Operands, call: Call | None) -> ExecutedNode:
        real = self._interval(node, layer, operands)
        least = 0.0 if layer.keeps_sign and all(one.executed.least >= 0 for one in operands) else -math.inf
        if layer.roundings == 0:
            return self._moved(node, real, layer, operands, least)
        assert call is not None
        sizes = [operand.expanded for operand in operands]
        reached = layer.magnitude([one.expanded + one.passed / call.share for one in operands])
        passed = call.share * reached
        fits = reached < self.run.precision.largest / (2 * layer.summed)  # no partial sum is larger, in whatever order
        if not call.joined:
            added = self._off(node, layer, operands) + self._floor(node, layer, operands, call)
            error = torch.where(fits, self._rounded_up(passed, layer.terms), torch.inf) + added
            return self._alone(real, error, least)
        expanded = layer.magnitude(sizes)
        # Both have the constant's size, and what they are rounded by is a share of what is charged for the call.
        passed = (passed - call.share * expanded).clamp(min=0) + 2 * error_factor(
            layer.terms, real.lower.dtype
        ) * passed
        passed = passed + self._off(node, layer, operands) + self._floor(node, layer, operands, call)
        return self._summed(node, real, torch.where(fits, passed, torch.inf), expanded, call, layer.terms, least)

    def _summed(
        self,
        node: Node,
        real: Interval,
        passed: Tensor,
        expanded: Tensor,
        call: Call,
        terms: int,
        least: float = -math.inf,
    ) -> ExecutedNode:
        """A sum of one call: off by what it is given, and by a share of its terms."""
        passed, expanded = self._rounded_up(passed, terms), self._rounded_up(expanded, terms)
        passed = torch.where(expanded < self.run.precision.largest / 2, passed, torch.inf)
        error = self._rounded_up(passed + call.share * expanded, 2)
        return ExecutedNode(Executed(real, self._capped(real, error), least), passed, expanded)

    def _moved(self, node: Node, real: Interval, layer: DualLayer, operands: Operands, least: float) -> ExecutedNode:
        if not operands:
            off = torch.zeros_like(layer.constant(())) if self._exact(node) else self._off(node, layer, operands)
            return self._alone(real, off, least)
        error = self._pushed(layer, [one.executed.error for one in operands])
        misplaced = layer.misplaced([one.executed.size for one in operands], self.run.precision.unit)
        executed = Executed(real, self._capped(real, error if misplaced is None else error + misplaced), least)
        if all(one.passed is one.executed.error for one in operands):
            return ExecutedNode(executed, executed.error, executed.size)
        passed = self._pushed(layer, [one.passed for one in operands])
        passed = passed if misplaced is None else passed + misplaced
        return ExecutedNode(executed, passed, self._pushed(layer, [one.expanded for one in operands]))

    def _pushed(self, layer: DualLayer, parts: Sequence[Tensor]) -> Tensor:
        count = max(part.shape[0] for part in parts)
        return self._rounded_up(layer.push([part.expand(count, *part.shape[1:]) for part in parts]), layer.terms)

    def _exact(self, node: Node) -> bool:
        return all(self.run.errors.exact(constant) for constant in node.op.expressions())

    def _off(self, node: Node, layer: DualLayer, operands: Operands) -> Tensor:
        """What the constants that a run computes are off by makes of the op: it is linear in them."""
        misplaced = layer.misplaced([operand.expanded for operand in operands], self.run.precision.unit)
        if self._exact(node):
            return self._tiny if misplaced is None else misplaced + self._tiny
        rule = find_rule(node.op)
        assert isinstance(rule, AffineRule)
        off = rule.layer(replace(node, op=node.op.deviation()), self.graph.input_shapes(node), self.run.errors)
        added = self._rounded_up(off.magnitude([operand.expanded for operand in operands]), layer.terms)
        return added if misplaced is None else added + misplaced

    @cached_property
    def _tiny(self) -> Tensor:
        """What may be flushed to zero, in the run and here."""
        dtype = self.state.environment.dtype
        smallest = max(self.run.precision.tiny, torch.finfo(dtype).tiny)
        return torch.tensor(smallest, dtype=dtype, device=self.state.environment.device)

    def _floor(self, node: Node, layer: DualLayer, operands: Operands, call: Call) -> Tensor:
        """What underflow may cost a sum: each of its products and partial sums may vanish; in a call of several nodes
        those of its constants as well, which meet the operands.
        """
        assert layer.roundings is not None
        floor = 2 * (layer.roundings + 1) * self._tiny
        if not call.joined:
            return floor
        largest = [operand.expanded.reshape(operand.expanded.shape[0], -1).amax(1) for operand in operands]
        return floor * (1 + sum(one.reshape(-1, *[1] * len(node.shape)) for one in largest))

    def _interval(self, node: Node, how: Summing, operands: Operands) -> Interval:
        """What the bounds say of the node; of one that a pass has folded away, interval arithmetic."""
        if node.name in self.state.intervals:
            return self.state.intervals[node.name]
        return interval_of_dropped(node, how, [one.executed.real for one in operands], self.run.environment)

    def _rounded_up(self, error: Tensor, terms: int) -> Tensor:
        """An error that was computed as a sum of so many terms, none of them negative, in the bounds' own dtype."""
        return error * (1 + error_factor(terms, error.dtype))

    def _capped(self, real: Interval, error: Tensor) -> Tensor:
        """Infinite where a run may overflow."""
        return torch.where(real.magnitude + error < self.run.precision.largest / 2, error, torch.inf)
