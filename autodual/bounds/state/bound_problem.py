"""What bounds are asked of, and how: all that stays the same while one computation of bounds runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate

import torch

from autodual.bounds.options import BoundOptions
from autodual.bounds.rounding.error_factor import error_factor
from autodual.bounds.state.constraints import Multiplied
from autodual.bounds.state.sites import Sites
from autodual.bounds.state.subproblems import Subproblems
from autodual.dual.rule import AffineRule, NonlinearRule, Rule
from autodual.interval import Interval
from autodual.ir.expressions import Environment
from autodual.ir.graph import Graph, Node
from autodual.perturbations.regions.support import Support


@dataclass(eq=False)
class BoundProblem:
    """A network and sets of its inputs, with everything that a caller says of how to bound it.

    A batch consists of B *subproblems*, each a part of one sample's problem. Unless a caller says more, they are the N
    samples. All tensors are `[B or 1, …]`.

    sites: the graph's bound sites. regions: the perturbation set of each input, bound to the N samples.
    known: intervals proved elsewhere, by node. subproblems: their owners, and what is given of each.
    """

    graph: Graph
    rules: Mapping[str, Rule]
    sites: Sites
    environment: Environment
    regions: Mapping[str, Support]
    options: BoundOptions
    known: Mapping[str, Interval] = field(default_factory=dict)
    subproblems: Subproblems = field(default_factory=Subproblems)

    @cached_property
    def samples(self) -> int:
        """B, the number of subproblems: that of the samples, unless a sample has several."""
        owner = self.subproblems.owner
        return next(iter(self.regions.values())).count if owner is None else owner.shape[0]

    @property
    def constraints(self) -> tuple[Multiplied, ...]:
        """What is known of values of nodes beside their intervals."""
        return self.subproblems.constraints

    @property
    def itemsize(self) -> int:
        """Bytes of a number."""
        return torch.finfo(self.environment.dtype).bits // 8

    @cached_property
    def offsets(self) -> dict[str, int]:
        """How many scalars of one sample lie at the nodes before each node."""
        sizes = accumulate((node.size for node in self.graph), initial=0)
        return dict(zip((node.name for node in self.graph), sizes))

    @cached_property
    def superadditive(self) -> bool:
        """Whether the minima that sets give are superadditive, so that what bounds of units decide stays decided behind
        them.
        """
        return all(region.superadditive for region in self.regions.values())

    @cached_property
    def intersects(self) -> bool:
        """Whether interval arithmetic over the ops themselves tightens every bound."""
        if self.options.intersect is not None:
            return self.options.intersect
        asked = any(isinstance(rule, NonlinearRule) and rule.contained for rule in self.rules.values())
        return asked or self.options.balls or self.options.slopes != "shared" or not self.options.fully_dual

    @property
    def skips(self) -> bool:
        """Whether to compute no rows for units that intervals decide (`docs/mathematics.md`).

        This changes no bound, unless `intersects` lets the units' tighter intervals in (`BoundOptions`).
        """
        return self.options.skip_decided and (self.superadditive or self.intersects)

    def error_factor(self, terms: int) -> float:
        """γ of sums of so many terms, with room for adding up over all nodes."""
        return error_factor(terms + len(self.graph.nodes), self.environment.dtype)

    def is_affine(self, name: str) -> bool:
        """Whether rows pass a node as they are, without a relaxation."""
        return isinstance(self.rules[name], AffineRule)

    def is_given(self, node: Node) -> bool:
        """Whether a caller gives the node's interval, so that it is not computed."""
        return node.name in self.subproblems.given

    def enclosure(self, name: str) -> Interval:
        """The box around the set of an input, `[B or 1, *shape]`."""
        region = self.regions[name]
        enclosure = region.enclosure()
        if self.options.rigorous:
            enclosure = enclosure.widen(region.rounding())
        return enclosure if self.subproblems.owner is None else enclosure.map(self.subproblems.of_samples)
