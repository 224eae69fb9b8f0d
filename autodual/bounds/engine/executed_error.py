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
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor

from autodual.bounds.engine.calls import Call, Summing, call_name, calls_of, sums
from autodual.bounds.engine.dropped_nodes import interval_of_dropped
from autodual.bounds.rounding.error_factor import error_factor
from autodual.bounds.state.bound_state import BoundState
from autodual.dual import DualLayer, find_rule
from autodual.dual.execution import Executed, Precision, Run
from autodual.dual.product_rule import ProductRule
from autodual.dual.rule import AffineRule, NonlinearRule
from autodual.interval import Interval
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


@dataclass(frozen=True, eq=False)
class _Found:
    """A node on the walk.

    passed: what it is off by without the roundings of its own call's sums. expanded: their terms, each with its size,
    added up; both as the rest of the call sees them.
    """

    executed: Executed
    passed: Tensor
    expanded: Tensor


@dataclass(eq=False)
class _Walk:
    """One walk through the graph; reason: what first made an error infinite."""

    state: BoundState
    graph: Graph
    dtype: torch.dtype
    run: Run
    known: dict[str, _Found] = field(default_factory=dict)
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

    def _found(self, node: Node) -> _Found:
        """A node whose operands are known."""
        if node.name not in self.how:
            # A run gets the nearest points that its dtype holds.
            real, precision = self.state.intervals[node.name], self.run.precision
            return self._alone(real, self._rounded_up(precision.unit * real.magnitude + precision.tiny, 1))
        how, call = self.how[node.name], self.calls.get(call_name(node))
        operands = [self._seen(name, node, call) for name in node.inputs]
        if isinstance(how, DualLayer):
            found = self._affine(node, how, operands, call)
        elif how.stated:
            found = self._stated(self._interval(node, how, operands), operands[0])
        elif isinstance(how, ProductRule):
            assert call is not None
            found = self._product(node, how, operands, call)
        else:
            found = self._nonlinear(node, how, operands)
        return self._otherwise(node, found)

    def _seen(self, name: str, reader: Node, call: Call | None) -> _Found:
        """A node as another one sees it: its parts within the same call, else all that it is off by."""
        found = self.known[name]
        if call is None or not call.joined:
            return found if found.passed is found.executed.error else self._leaf(found.executed, call)
        same = call_name(self.graph[name]) == call_name(reader)
        within = same and name in self.how and sums(self.how[name]) and bool(self.graph[name].inputs)
        return found if within else self._leaf(found.executed, call)

    def _leaf(self, executed: Executed, call: Call | None) -> _Found:
        """What a call is given, with room for parts of a term whose product vanishes before the rest meets it."""
        room = 0.0 if call is None or not call.products else math.sqrt(self.run.precision.tiny / call.share)
        return _Found(executed, executed.error, executed.size + room)

    def _alone(self, real: Interval, error: Tensor, least: float = -math.inf) -> _Found:
        executed = Executed(real, self._capped(real, error), least)
        return _Found(executed, executed.error, executed.size)

    def _stated(self, real: Interval, operand: _Found) -> _Found:
        """What a run does not compute: its operand's values, of which more is known."""
        executed = Executed(real, operand.executed.error, operand.executed.least)
        return _Found(executed, operand.passed, operand.expanded)

    def _nonlinear(self, node: Node, rule: NonlinearRule, operands: Sequence[_Found]) -> _Found:
        error = rule.executed(node.op, [operand.executed for operand in operands], self.run)
        if error is None:
            raise Unanalysed(f"the op {node.op.kind}")
        if not rule.exact:
            error = self._rounded_up(error, 64) + self._tiny
        least = 0.0 if rule.limits(node.op)[0] >= 0 else -math.inf
        return self._alone(self._interval(node, rule, operands), error, least)

    def _product(self, node: Node, rule: ProductRule, operands: Sequence[_Found], call: Call) -> _Found:
        executed = [operand.executed for operand in operands]
        expanded = rule.product(operands[0].expanded, operands[1].expanded)
        count = rule.reads([operand.expanded.shape for operand in operands])
        passed = rule.passed(executed, [operand.passed for operand in operands]) + 2 * count * self._tiny
        return self._summed(node, self._interval(node, rule, operands), passed, expanded, call, count)

    def _affine(self, node: Node, layer: DualLayer, operands: Sequence[_Found], call: Call | None) -> _Found:
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
    ) -> _Found:
        """A sum of one call: off by what it is given, and by a share of its terms."""
        passed, expanded = self._rounded_up(passed, terms), self._rounded_up(expanded, terms)
        passed = torch.where(expanded < self.run.precision.largest / 2, passed, torch.inf)
        error = self._rounded_up(passed + call.share * expanded, 2)
        return _Found(Executed(real, self._capped(real, error), least), passed, expanded)

    def _moved(self, node: Node, real: Interval, layer: DualLayer, operands: Sequence[_Found], least: float) -> _Found:
        if not operands:
            off = torch.zeros_like(layer.constant(())) if self._exact(node) else self._off(node, layer, operands)
            return self._alone(real, off, least)
        error = self._pushed(layer, [one.executed.error for one in operands])
        misplaced = layer.misplaced([one.executed.size for one in operands], self.run.precision.unit)
        executed = Executed(real, self._capped(real, error if misplaced is None else error + misplaced), least)
        if all(one.passed is one.executed.error for one in operands):
            return _Found(executed, executed.error, executed.size)
        passed = self._pushed(layer, [one.passed for one in operands])
        passed = passed if misplaced is None else passed + misplaced
        return _Found(executed, passed, self._pushed(layer, [one.expanded for one in operands]))

    def _pushed(self, layer: DualLayer, parts: Sequence[Tensor]) -> Tensor:
        count = max(part.shape[0] for part in parts)
        return self._rounded_up(layer.push([part.expand(count, *part.shape[1:]) for part in parts]), layer.terms)

    def _otherwise(self, node: Node, found: _Found) -> _Found:
        """With room for another formula by which a library may compute the node."""
        if node.formula is None:
            return found
        sizes = [self.known[name].executed.size for name in node.formula.of]
        off = self._rounded_up(node.formula.off(sizes, self.run.environment, self.run.precision), 64)
        executed = found.executed
        error = self._capped(executed.real, executed.error + off)
        return _Found(Executed(executed.real, error, executed.least), found.passed + off, found.expanded)

    def _exact(self, node: Node) -> bool:
        return all(self.run.errors.exact(constant) for constant in node.op.expressions())

    def _off(self, node: Node, layer: DualLayer, operands: Sequence[_Found]) -> Tensor:
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

    def _floor(self, node: Node, layer: DualLayer, operands: Sequence[_Found], call: Call) -> Tensor:
        """What underflow may cost a sum: each of its products and partial sums may vanish; in a call of several nodes
        those of its constants as well, which meet the operands.
        """
        assert layer.roundings is not None
        floor = 2 * (layer.roundings + 1) * self._tiny
        if not call.joined:
            return floor
        largest = [operand.expanded.reshape(operand.expanded.shape[0], -1).amax(1) for operand in operands]
        return floor * (1 + sum(one.reshape(-1, *[1] * len(node.shape)) for one in largest))

    def _interval(self, node: Node, how: Summing, operands: Sequence[_Found]) -> Interval:
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
