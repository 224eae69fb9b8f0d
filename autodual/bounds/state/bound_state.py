"""What is known of a network during one bound computation: layers, intervals and rounding debts of its nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import accumulate

import torch
from torch import Tensor

from autodual.bounds.options import BoundOptions
from autodual.bounds.rounding.error_factor import Debt, error_factor, underflow
from autodual.bounds.state.kept_bytes import Ledger
from autodual.bounds.state.memories import Memories
from autodual.bounds.state.sites import Sites
from autodual.dual.layer import DualLayer
from autodual.dual.rule import AffineRule, NonlinearRule, RelaxationRule, Rule
from autodual.errors import EmptySetError
from autodual.interval import Interval
from autodual.ir.constant_errors import ConstantSizes, Unanalysed
from autodual.ir.expressions import Environment, Parameter
from autodual.ir.graph import Graph, Node
from autodual.perturbations.base import Region


@dataclass(eq=False)
class BoundState:
    """One call's working memory; grows node by node in topological order.

    sites: the graph's bound sites. regions: the perturbation set of each input, bound to the N samples.
    known: intervals proved elsewhere, by node.
    layers, intervals: what has been computed so far. debts: with `rigorous`, what rounding costs at each node.
    refined: by bound site, the units `[N, *shape]` that have both their dual bounds.
    memories: what strategies keep for later. ledger: bytes that gradients keep.
    """

    graph: Graph
    rules: Mapping[str, Rule]
    sites: Sites
    environment: Environment
    regions: Mapping[str, Region]
    options: BoundOptions
    known: Mapping[str, Interval] = field(default_factory=dict)
    layers: dict[str, DualLayer] = field(default_factory=dict)
    intervals: dict[str, Interval] = field(default_factory=dict)
    debts: dict[str, Debt] = field(default_factory=dict)
    refined: dict[str, Tensor] = field(default_factory=dict)
    memories: Memories = field(default_factory=Memories)
    ledger: Ledger = field(default_factory=Ledger)

    @property
    def samples(self) -> int:
        """N."""
        return next(iter(self.regions.values())).count

    @property
    def itemsize(self) -> int:
        """Bytes of a number."""
        return torch.finfo(self.environment.dtype).bits // 8

    def present(self) -> BoundState:
        """The state as it is now, which nothing is added to any more, for rows on their way back alone."""
        return replace(
            self,
            layers=dict(self.layers),
            intervals=dict(self.intervals),
            debts=dict(self.debts),
            memories=self.memories.lasting(),
            ledger=Ledger(),
        )

    @cached_property
    def offsets(self) -> dict[str, int]:
        """How many scalars of one sample lie at the nodes before each node."""
        sizes = accumulate((node.size for node in self.graph), initial=0)
        return dict(zip((node.name for node in self.graph), sizes))

    @cached_property
    def superadditive(self) -> bool:
        """Whether bounds of units decide whatever follows from them, as the dual objective alone would."""
        return all(region.superadditive for region in self.regions.values())

    @cached_property
    def intersects(self) -> bool:
        """Whether interval arithmetic over the ops themselves tightens every bound."""
        if self.options.intersect is not None:
            return self.options.intersect
        asked = any(isinstance(rule, NonlinearRule) and rule.contained for rule in self.rules.values())
        return asked or self.options.slopes != "shared" or not self.options.fully_dual

    @property
    def skips(self) -> bool:
        """Whether units may be skipped that intervals decide: nothing changes then (`docs/mathematics.md`)."""
        return self.options.skip_decided and (self.superadditive or self.intersects)

    def error_factor(self, terms: int) -> float:
        """γ of sums of so many terms, and of what is then added up node by node."""
        return error_factor(terms + len(self.graph.nodes), self.environment.dtype)

    def add_input(self, node: Node) -> None:
        region = self.regions[node.name]
        enclosure = region.enclosure()
        if self.options.rigorous:
            enclosure = enclosure.widen(region.rounding())
        self._take(node, enclosure)

    def add_layer(self, node: Node, layer: DualLayer) -> None:
        """Take in the layer of a node whose operands are known, and its interval by interval arithmetic."""
        self.layers[node.name] = layer
        if self.options.rigorous:
            self.debts[node.name] = self.debt(node, layer)
        self._take(node, self._interval(node))

    def add_range(self, node: Node, interval: Interval) -> None:
        """Take in the values of a node that needs no layer, since no row is ever to pass it."""
        self._take(node, interval)

    def is_affine(self, name: str) -> bool:
        """Whether rows pass a node as they are, without a relaxation."""
        return isinstance(self.rules[name], AffineRule)

    def refresh(self, node: Node) -> None:
        """Compute a node's interval anew from its operands' intervals, which have become tighter."""
        self.intervals[node.name] = self._interval(node)
        self.assume(node.name)

    def _take(self, node: Node, interval: Interval) -> None:
        self.intervals[node.name] = interval
        if self.options.inner == "interval":  # dual bounds come first: what is known must not seem to spare them
            self.assume(node.name)

    def assume(self, name: str) -> None:
        """Keep of a node's interval what is known from elsewhere, if anything is.

        Raises EmptySetError where nothing is left, so that what is known has been proved false.
        """
        if name not in self.known:
            return
        proved, known = self.intervals[name], self.known[name]
        # What plain bounds may be off by; rigorous ones have allowed for it.
        slack = 0.0 if self.options.rigorous else self.error_factor(self.graph[name].size) * proved.magnitude
        apart = (known.lower > proved.upper + slack) | (known.upper < proved.lower - slack)
        if bool(apart.any()):
            raise EmptySetError(
                f"the known interval of '{name}' is false: bounds prove that the node lies elsewhere; give intervals "
                "that hold over the whole set"
            )
        both = proved.intersect(known)
        self.intervals[name] = Interval(both.lower.minimum(both.upper), both.lower.maximum(both.upper))

    def _interval(self, node: Node) -> Interval:
        """The values of a node by interval arithmetic over its layer, and over the op itself where that counts."""
        rule, inputs = self.rules[node.name], [self.intervals[name] for name in node.inputs]
        if self.intersects and isinstance(rule, RelaxationRule):
            # Between the lines lies all that the op itself can be, so that these ends are the tighter ones.
            interval = rule.range(node.op, inputs, self.environment)
            return interval if rule.exact else self._widened(node, interval)
        interval = self.layers[node.name].interval(inputs)
        if self.intersects and isinstance(rule, NonlinearRule):
            interval = interval.tightened(rule.range(node.op, inputs, self.environment))
        return interval if self.layers[node.name].roundings == 0 else self._widened(node, interval)

    def _widened(self, node: Node, interval: Interval) -> Interval:
        """An interval with room for what rounding may have cost, but not beyond what its op can be at all."""
        if not self.options.rigorous:
            return interval
        rule, debt = self.rules[node.name], self.debts[node.name]
        interval = interval.widen(debt.magnitude + debt.floor.reshape(-1, *[1] * len(node.shape)))
        if not (self.intersects and isinstance(rule, NonlinearRule)):
            return interval
        return interval.within(*rule.limits(node.op))

    def debt(self, node: Node, layer: DualLayer) -> Debt:
        """What rounding costs at a node, over all inputs as large as its operands can be."""
        if layer.moves and all(len(self.graph.users[name]) == 1 for name in node.inputs):
            # Rows are moved too, and none meet others that have come to the same operand.
            return self._no_debt(node)
        layer = self.charged(node, self.rules[node.name], layer)
        magnitudes = [self.intervals[name].magnitude for name in node.inputs]
        magnitude = layer.magnitude(magnitudes)
        owed = self.error_factor(layer.terms) * magnitude
        constant = layer.constant_magnitude
        if constant is not None:
            owed = owed + self.error_factor(node.size) * constant
        return Debt(owed, underflow(layer.terms, magnitudes, node.size, like=magnitude))

    def charged(self, node: Node, rule: Rule, layer: DualLayer) -> DualLayer:
        """The layer whose magnitude is to be charged: with larger constants where float64, in which constants are
        computed from parameters, may have lost digits of them, as of a batch norm's shift that cancels.
        """
        computed = any(not isinstance(constant, Parameter) for constant in node.op.expressions())
        if not (computed and isinstance(rule, AffineRule)):
            return layer
        sizes = ConstantSizes(self.environment, torch.float64, 1 / self.error_factor(layer.terms))
        try:
            return rule.layer(node, self.graph.input_shapes(node), sizes)
        except Unanalysed:  # all that is known is their size
            return layer

    def _no_debt(self, node: Node) -> Debt:
        zero = torch.zeros(1, dtype=self.environment.dtype, device=self.environment.device)
        return Debt(zero.expand(1, *node.shape), zero)


def is_linear(state: BoundState, name: str) -> bool:
    """Whether one pull from this node serves lower and upper bounds."""
    return all(state.layers[other].linear for other in state.graph.ancestors[name] if other in state.layers)
