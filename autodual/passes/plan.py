"""The dual plan: the passes' result, and all that a dual network needs to run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from autodual.bounds.options import BoundOptions
from autodual.bounds.state.sites import Sites
from autodual.dual.rule import NonlinearRule, Rule
from autodual.ir.expressions import Environment, Expression
from autodual.ir.graph import Graph
from autodual.ir.text import format_node


@dataclass(frozen=True, eq=False)
class Plan:
    """A graph, the dual rule of each node, the bound sites, and the default options of bounds.

    bound_sites: nodes whose intervals some relaxation needs. environment: parameter values while passes run, for their
    shapes only; None in a finished plan.
    """

    graph: Graph
    rules: Mapping[str, Rule] = field(default_factory=dict)
    bound_sites: Sites = field(default_factory=Sites)
    options: BoundOptions = field(default_factory=BoundOptions)
    environment: Environment | None = None

    @property
    def sites(self) -> tuple[str, ...]:
        """The bound sites: nodes whose intervals results show and `known=` accepts, in topological order."""
        return self.bound_sites.names

    @property
    def relaxed(self) -> tuple[str, ...]:
        """Nodes whose rule is a relaxation, in topological order."""
        return tuple(node.name for node in self.graph if isinstance(self.rules.get(node.name), NonlinearRule))

    @property
    def contains(self) -> bool:
        """Whether any op asks that bounds be intersected with its own range, whatever the slopes."""
        return any(isinstance(rule, NonlinearRule) and rule.contained for rule in self.rules.values())

    def constant_shape(self, expression: Expression) -> tuple[int, ...]:
        """The shape of a parameter expression; only while passes run.

        Args:
            expression: of the graph's parameters.
        """
        assert self.environment is not None
        return tuple(self.environment(expression).shape)

    def describe(self) -> str:
        """The plan as text: each node with its rule, bound sites marked, and the options."""
        lines = []
        for node in self.graph:
            rule = self.rules.get(node.name)
            kind = "input" if rule is None else type(rule).__name__
            relaxed = " relaxed" if isinstance(rule, NonlinearRule) else ""
            site = " [bound site]" if node.name in self.sites else ""
            lines.append(f"{format_node(node)}  <- {kind}{relaxed}{site}")
        options = self.options
        lines.append(
            f"slopes={options.slopes} mode={options.mode} windows={options.windows}"
            f" skip_decided={options.skip_decided} memory_budget={options.memory_budget}"
        )
        if options.projection is not None:
            lines.append(str(options.projection))
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.describe()
