"""A pass of your own: a ReLU of a ReLU changes nothing, so it is removed from the graph.

    python own_pass.py

Each ReLU is relaxed, so one ReLU less means less work and tighter bounds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import nn

import autodual
from autodual.extend import Pass, Plan, default_pipeline
from autodual.ir.ops import Relu


@dataclass(frozen=True)
class RemoveRepeatedRelus(Pass):
    """Nodes that read a ReLU of a ReLU read the first ReLU instead."""

    name: ClassVar[str] = "remove-repeated-relus"

    def run(self, plan: Plan) -> Plan:
        """The plan in which nothing reads them; the next pass removes nodes that nothing reads."""
        graph, instead = plan.graph, {}
        nodes = []
        for node in graph:
            inputs = tuple(instead.get(name, name) for name in node.inputs)
            node = replace(node, inputs=inputs)
            nodes.append(node)
            if isinstance(node.op, Relu) and isinstance(graph[inputs[0]].op, Relu) and node.name not in graph.outputs:
                instead[node.name] = inputs[0]
        return replace(plan, graph=graph.with_nodes(nodes))


def main() -> None:
    """Compile a network with and without the pass, and compare."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.ReLU(), nn.Linear(16, 3)).double()
    x, ball = torch.rand(5, 4, dtype=torch.float64), autodual.LinfBall(0.1)
    before = autodual.compile_dual(model, x)
    after = autodual.compile_dual(model, x, passes=[RemoveRepeatedRelus(), *default_pipeline()])
    outputs = torch.eye(3, dtype=torch.float64)
    print(f"bound sites: {len(before.plan.sites)} before, {len(after.plan.sites)} after")
    for name, dual in (("before", before), ("after", after)):
        print(f"lower bounds {name}: {dual.lower_bounds(x, ball, outputs).mean():.4f} on average")


if __name__ == "__main__":
    main()
