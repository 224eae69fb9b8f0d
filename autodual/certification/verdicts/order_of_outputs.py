"""Properties that ask only which outputs are larger, as classifiers' do, and where else in the network that shows."""

from __future__ import annotations

from autodual.ir import Graph
from autodual.properties import Property


def deciding_node(graph: Graph, goal: Property) -> str:
    """The earliest node whose entries are ordered as the outputs; the output itself if a property asks for more."""
    return graph.ordered_as_output if _only_order(goal) else graph.outputs[0]


def _only_order(goal: Property) -> bool:
    """Whether every constraint compares one output with another."""
    parts = [part for case in goal.cases for part in case.conjunctions]
    return all(
        bool((part.bound == 0).all() and ((part.matrix != 0).sum(1) == 2).all() and (part.matrix.sum(1) == 0).all())
        for part in parts
    )
