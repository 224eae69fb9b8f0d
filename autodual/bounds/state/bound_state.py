"""What is known of a network during one bound computation: layers, intervals and rounding debts of its nodes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from autodual.bounds.rounding.error_factor import Debt
from autodual.bounds.state.bound_problem import BoundProblem
from autodual.bounds.state.debts import charged, constants_debt, debt_of, drift, no_debt, widened
from autodual.bounds.state.kept_bytes import Ledger
from autodual.bounds.state.memories import Memories
from autodual.dual.layer import DualLayer
from autodual.dual.relaxation_rule import RelaxationRule
from autodual.dual.rule import NonlinearRule
from autodual.errors import EmptySetError
from autodual.interval import Interval
from autodual.ir.graph import Node


@dataclass(eq=False)
class BoundState(BoundProblem):
    """One call's working memory: the problem, and what has been found; grows node by node in topological order.

    layers, intervals: what has been computed so far. debts: with `rigorous`, what rounding costs at each node.
    refined: by bound site, the units `[B, *shape]` that have both their dual bounds.
    magnitudes: by node, how large its value can be, as far as that was needed.
    emptied: masks `[B or 1]` of subproblems that turned out to have no point.
    memories: what strategies remember. ledger: bytes that gradients keep.
    """

    layers: dict[str, DualLayer] = field(default_factory=dict)
    intervals: dict[str, Interval] = field(default_factory=dict)
    debts: dict[str, Debt] = field(default_factory=dict)
    refined: dict[str, Tensor] = field(default_factory=dict)
    magnitudes: dict[str, Tensor] = field(default_factory=dict)
    emptied: list[Tensor] = field(default_factory=list)
    memories: Memories = field(default_factory=Memories)
    ledger: Ledger = field(default_factory=Ledger)

    def present(self) -> BoundState:
        """The state as it is now, to pull rows back: nothing is added to it any more."""
        return replace(
            self,
            layers=dict(self.layers),
            intervals=dict(self.intervals),
            debts=dict(self.debts),
            magnitudes=dict(self.magnitudes),
            memories=self.memories.lasting(),
            ledger=Ledger(),
        )

    # --- the sweep ---------------------------------------------------------------------------------------------------

    def add_input(self, node: Node) -> None:
        """Take in an input's enclosure."""
        if not self.subproblems.given:
            self._compute(node)

    def add_layer(self, node: Node, layer: DualLayer) -> None:
        """Take in a node's layer. Its interval is computed at once; where intervals are given, or no node reads it,
        only when it is needed.
        """
        self.layers[node.name] = layer
        if not self.subproblems.given and self.graph.users[node.name]:
            self._compute(node)
        elif self.options.rigorous:
            self.debt(node.name)

    def add_range(self, node: Node, interval: Interval) -> None:
        """Take in the values of a node that no row will pass, so that it needs no layer."""
        if self.is_given(node):
            self._take_given(node)
        else:
            self._take(node, interval)

    def interval(self, name: str) -> Interval:
        """A node's interval: as given, as computed before, or by interval arithmetic over its operands.

        Raises AssertionError if a layer on the way is missing.
        """
        waiting = [name]
        while waiting:
            node = self.graph[waiting[-1]]
            missing = [] if self.is_given(node) else [name for name in node.inputs if name not in self.intervals]
            if node.name in self.intervals or not missing:
                waiting.pop()
                if node.name not in self.intervals:
                    self._compute(node)
            waiting += missing if node.name not in self.intervals else []
        return self.intervals[name]

    def debt(self, name: str) -> Debt:
        """What rounding costs at a node that has a layer."""
        if name not in self.debts:
            self.debts[name] = self.debt_under(self.graph[name], self.layers[name])
        return self.debts[name]

    def debt_under(self, node: Node, layer: DualLayer) -> Debt:
        """What rounding costs at a node whose layer is this one."""
        if layer.moves and all(self._read_once(name) for name in node.inputs):
            # Rows are only moved, and added to no other rows at the operand.
            return no_debt(node, self.environment)
        magnitudes = [self.magnitude(name) for name in node.inputs]
        rule = self.rules[node.name]
        debt = debt_of(
            node,
            charged(self.graph, node, rule, layer, self.environment, self.error_factor),
            magnitudes,
            self.error_factor,
        )
        apart = self.subproblems.given  # then intervals are not computed
        operands = [
            Interval(-size, size) if apart else self.interval(name) for name, size in zip(node.inputs, magnitudes)
        ]
        off = constants_debt(node, rule, operands, self.environment)
        return debt if off is None else replace(debt, magnitude=debt.magnitude + off)

    def _read_once(self, name: str) -> bool:
        """Whether rows come to a node from one reader alone."""
        return len(self.graph.users[name]) == 1 and not any(name in one.nodes for one in self.constraints)

    def magnitude(self, name: str) -> Tensor:
        """How large a node's value can be, `[B or 1, *shape]`.

        If its interval was never needed it follows from the operands' magnitudes, which is half the work.
        """
        if not self.subproblems.given:
            return self.interval(name).magnitude
        if name not in self.magnitudes:
            self.magnitudes[name] = self._magnitude(self.graph[name])
        return self.magnitudes[name]

    def _magnitude(self, node: Node) -> Tensor:
        layer = self.layers.get(node.name)
        if node.name in self.intervals or self.is_given(node) or layer is None:
            return self.interval(node.name).magnitude
        debt = self.debt(node.name)
        own = layer.magnitude([self.magnitude(name) for name in node.inputs])
        return own + debt.magnitude + debt.floor.reshape(-1, *[1] * len(node.shape))

    def refresh(self, node: Node) -> None:
        """Recompute a node's interval after its operands' intervals have become tighter."""
        if self.is_given(node):
            return
        self.intervals[node.name] = self._interval(node)
        self.assume(node.name)

    def _compute(self, node: Node) -> None:
        if node.name in self.regions:
            self._take(node, self._enclosure(node.name))
        elif self.is_given(node):
            self._take_given(node)
        else:
            if self.options.rigorous:
                self.debt(node.name)
            self._take(node, self._interval(node))

    def _enclosure(self, name: str) -> Interval:
        """An input's interval, cut to the part that is given to a subproblem."""
        enclosure, part = self.enclosure(name), self.subproblems.given.get(name)
        if part is None:
            return enclosure
        return uncrossed(self.note_empty(enclosure.intersect(part), name))

    def note_empty(self, interval: Interval, computed: str | None = None) -> Interval:
        """The interval `[B or 1, *shape]`. Where its ends cross, its subproblem has no point: note that.

        computed: the node whose bounds the ends are; plain ones cross by more than rounding then.
        """
        room = interval.upper - interval.lower
        if computed is not None and not self.options.rigorous and bool((room < 0).any()):
            room = room + 2 * self._drift(computed)
        # The least of numbers, since reductions of booleans are slow on CPUs.
        self.emptied.append(room.reshape(room.shape[0], -1).amin(1) < 0)
        return interval

    def _drift(self, name: str) -> Tensor:
        """How far rounding may have moved a plain bound of a node, `[B or 1, *shape]`: at the node and before it."""

        def without_layer(node: Node) -> Tensor:
            if node.name in self.regions:
                return self.subproblems.of_samples(self.regions[node.name].rounding())
            return self.error_factor(node.size) * self.interval(node.name).magnitude

        return drift(self.graph, name, self.layers, without_layer, self.debt_under)

    @property
    def infeasible(self) -> Tensor:
        """The subproblems `[B]` that are known to have no point."""
        none = torch.zeros(self.samples, dtype=torch.bool, device=self.environment.device)
        for mask in self.emptied:
            none = none | mask
        return none

    def _take_given(self, node: Node) -> None:
        given, known = self.subproblems.given[node.name], self.known.get(node.name)
        self.intervals[node.name] = self.note_empty(given if known is None else given.intersect(known))

    def _take(self, node: Node, interval: Interval) -> None:
        self.intervals[node.name] = interval
        if self.options.inner == "interval":  # with dual bounds, what is known comes after them, and spares none
            self.assume(node.name)

    def assume(self, name: str) -> None:
        """Intersect a node's interval with what is known of it from elsewhere.

        Raises EmptySetError if nothing is left, which proves the known interval false; of a part of a set it may
        also mean that the part has no point.
        """
        if name not in self.known:
            return
        proved, known = self.intervals[name], self.known[name]
        slack = self.slack(name)
        apart = (known.lower > proved.upper + slack) | (known.upper < proved.lower - slack)
        both = proved.intersect(known)
        if self.subproblems.partial:
            self.note_empty(both, name)
        elif bool(apart.any()):
            raise EmptySetError(
                f"the known interval of '{name}' is false: bounds prove that the node lies elsewhere; give intervals "
                "that hold over the whole set"
            )
        self.intervals[name] = uncrossed(both)

    def slack(self, name: str) -> Tensor | float:
        """What rounding may have moved a node's plain bounds by, `[B or 1, *shape]`; rigorous bounds allow for it
        already: 0.
        """
        if self.options.rigorous:
            return 0.0
        return self.error_factor(self.graph[name].size) * self.intervals[name].magnitude

    def _interval(self, node: Node) -> Interval:
        """A node's interval by interval arithmetic over its layer, intersected with the op's own range if
        `intersects`.
        """
        rule, inputs = self.rules[node.name], [self.intervals[name] for name in node.inputs]
        if self.intersects and isinstance(rule, RelaxationRule):
            # The op's own range lies between the lines, so it is the tighter interval.
            interval = rule.range(node.op, inputs, self.environment)
            return interval if rule.exact else self._widened(node, interval)
        interval = self.layers[node.name].interval(inputs)
        if self.intersects and isinstance(rule, NonlinearRule):
            interval = interval.tightened(rule.range(node.op, inputs, self.environment))
        return interval if self.layers[node.name].roundings == 0 else self._widened(node, interval)

    def _widened(self, node: Node, interval: Interval) -> Interval:
        """An interval widened by what rounding may have cost, but not beyond what is known of the op's values."""
        if not self.options.rigorous:
            return interval
        inputs = [self.intervals[name] for name in node.inputs]
        interval = widened(interval, self.debt(node.name), self.layers[node.name], inputs)
        rule = self.rules[node.name]
        return (
            interval.within(*rule.limits(node.op)) if self.intersects and isinstance(rule, NonlinearRule) else interval
        )


def uncrossed(interval: Interval) -> Interval:
    """An interval whose ends may have crossed by rounding, with these in order; NaN stays NaN."""
    return Interval(interval.lower.minimum(interval.upper), interval.lower.maximum(interval.upper))


def is_linear(state: BoundState, name: str) -> bool:
    """Whether one pull from this node serves lower and upper bounds."""
    if any(name in one.unit_multipliers for one in state.constraints):
        return False
    return all(state.layers[other].linear for other in state.graph.ancestors[name] if other in state.layers)
