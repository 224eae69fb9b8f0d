"""Bound sites as data: whose intervals relaxations need, what follows from them, and where intervals are tight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from autodual.dual.relaxation_rule import RelaxationRule
from autodual.dual.rule import AffineRule, NonlinearRule, Rule
from autodual.ir.graph import Graph
from autodual.perturbations import Support


@dataclass(frozen=True)
class Site:
    """A node whose interval is worth tightening. Slopes, splits, given intervals and records are kept by its name.

    name: of the node.
    readers: the nonlinear nodes whose relaxations need its interval, in topological order.
    followers: the nodes between it and its readers, each made scalar by scalar from the one before, so that their
        bounds follow from the site's.
    exact: the input of which the node is one affine map, or which it is. Where that input's features move
        independently, interval arithmetic gives the site's dual bounds already.
    """

    name: str
    readers: tuple[str, ...]
    followers: tuple[str, ...]
    exact: str | None = None

    def exact_over(self, regions: Mapping[str, Support]) -> bool:
        """Whether interval arithmetic is as tight as a row of its own, over these sets."""
        if self.exact is None:
            return False
        return self.exact == self.name or regions[self.exact].independent


@dataclass(frozen=True)
class Sites:
    """All sites of a graph in topological order.

    names: the nodes whose intervals are shown and may be known from elsewhere: operands of nonlinear nodes, and the
        nodes whose scalars these merely move.
    chains: by operand of a nonlinear node, its followers from the operand back to the site, and the site's name.
    """

    found: tuple[Site, ...] = ()
    names: tuple[str, ...] = ()
    chains: Mapping[str, tuple[tuple[str, ...], str]] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Site:
        return self._by_name[name]

    def __iter__(self):
        return iter(self.found)

    def __len__(self) -> int:
        return len(self.found)

    @cached_property
    def _by_name(self) -> dict[str, Site]:
        return {site.name: site for site in self.found}


def find_sites(graph: Graph, rules: Mapping[str, Rule]) -> Sites:
    """The sites of a graph whose nodes have these rules; inputs have none."""
    readers: dict[str, dict[str, None]] = {}
    followers: dict[str, set[str]] = {}
    chains: dict[str, tuple[tuple[str, ...], str]] = {}
    names: set[str] = set()
    for node in graph:
        if not isinstance(rules.get(node.name), NonlinearRule):
            continue
        for operand in node.inputs:
            chain, site = chains[operand] = _chain(graph, rules, operand)
            readers.setdefault(site, {})[node.name] = None
            followers.setdefault(site, set()).update(chain)
            names |= {operand, _moved_from(graph, rules, operand)}

    def ordered(some: set[str]) -> tuple[str, ...]:
        return tuple(sorted(some, key=graph.positions.__getitem__))

    found = (
        Site(name, tuple(readers[name]), ordered(followers[name]), _exact(graph, rules, name))
        for name in ordered(set(readers))
    )
    return Sites(tuple(found), ordered(names), chains)


def _chain(graph: Graph, rules: Mapping[str, Rule], name: str) -> tuple[tuple[str, ...], str]:
    """The nodes from `name` back that are made scalar by scalar, and the node before them."""
    found = []
    while _scalar_by_scalar(graph, rules, name):
        found.append(name)
        (name,) = graph[name].inputs
    return tuple(found), name


def _scalar_by_scalar(graph: Graph, rules: Mapping[str, Rule], name: str) -> bool:
    rule = rules.get(name)
    if isinstance(rule, RelaxationRule):
        return len(graph[name].inputs) == 1
    return isinstance(rule, AffineRule) and rule.moves


def _moved_from(graph: Graph, rules: Mapping[str, Rule], name: str) -> str:
    """The node whose scalars this one moves or repeats; itself if it does more."""
    while getattr(rules.get(name), "moves", False):
        (name,) = graph[name].inputs
    return name


def _exact(graph: Graph, rules: Mapping[str, Rule], name: str) -> str | None:
    """The input that a node is, or that it is one affine map of: every feature is read from it at most once before, and
    every output made of one scalar after it.
    """
    while getattr(rules.get(name), "reads_one", False):
        (name,) = graph[name].inputs
    if name in graph.inputs:
        return name
    node = graph[name]
    if not (isinstance(rules.get(name), AffineRule) and len(node.inputs) == 1):
        return None
    (source,) = node.inputs
    while source not in graph.inputs:
        rule = rules.get(source)
        if not (isinstance(rule, AffineRule) and rule.reads_once):
            return None
        (source,) = graph[source].inputs
    return source
