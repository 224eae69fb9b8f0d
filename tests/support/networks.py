"""Networks built straight from the intermediate representation, without tracing: quick, and in every op's variants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from autodual.ir import Call, Environment, Expression, Graph, Node, Op, Parameter, ops
from autodual.network import Compiled, DualNetwork
from autodual.passes import Pass, default_pipeline, run_passes
from autodual.passes.plan import Plan


class Network:
    """A graph under construction, whose parameters live in `module`; float64."""

    def __init__(self, shape: Sequence[int]):
        self.module = nn.Module()
        self._nodes = [Node("input", ops.Input(), (), tuple(shape))]
        self._expressions: dict[str, Expression] = {}

    def parameter(self, value: Tensor) -> Parameter:
        """A new parameter of the module."""
        name = f"parameter{len(self._expressions)}"
        self.module.register_parameter(name, nn.Parameter(value.detach().clone()))
        expression = Parameter(name)
        self._expressions[name] = expression
        return expression

    def positions(self, value: Tensor) -> Expression:
        """Whole numbers, kept as they are."""
        return Call(lambda: value)

    def add(self, op: Op, *inputs: str) -> str:
        """A new node, whose shape is what the op makes of zeros; its name."""
        zeros = [torch.zeros(1, *self.shape(name), dtype=torch.float64) for name in inputs]
        shape = tuple(op.forward(zeros, self.environment()).shape[1:])
        name = f"{op.kind}{len(self._nodes)}"
        self._nodes.append(Node(name, op, inputs, shape))
        return name

    def shape(self, name: str) -> tuple[int, ...]:
        return next(node.shape for node in self._nodes if node.name == name)

    def environment(self, dtype: torch.dtype = torch.float64) -> Environment:
        return Environment(self.module.get_parameter, dtype, torch.device("cpu"))

    def graph(self, output: str) -> Graph:
        return Graph(("input",), tuple(self._nodes), (output,))

    def dual(self, output: str, passes: Sequence[Pass] | None = None) -> DualNetwork:
        """The dual network that ends at a node."""
        return dual_of(self.graph(output), self.module, passes)


def dual_of(graph: Graph, module: nn.Module, passes: Sequence[Pass] | None = None) -> DualNetwork:
    """The dual network of a graph over a module's parameters, by the default pipeline or the passes given."""
    steps = default_pipeline() if passes is None else passes

    def build(model: nn.Module, x: Tensor) -> Compiled:
        plan = Plan(graph, environment=Environment(model.get_parameter, torch.float64, x.device))
        with torch.no_grad():
            plan = run_passes(plan, steps)
        shapes = {name: parameter.shape for name, parameter in model.named_parameters()}
        return Compiled(replace(plan, environment=None), {}, graph, shapes)

    return DualNetwork(module, build)


@dataclass(frozen=True)
class Execute(Pass):
    """Sets any bound options, even ones that users may not, such as budgets so small that rows go one by one."""

    name = "execute"

    options: tuple[tuple[str, object], ...] = ()

    def run(self, plan: Plan) -> Plan:
        changed = replace(plan.options, **dict(self.options))  # type: ignore[arg-type]
        return replace(plan, options=changed)


def pipeline(**options: object) -> list[Pass]:
    """The default pipeline with these bound options."""
    return [*default_pipeline(), Execute(tuple(options.items()))]


def node_values(dual: DualNetwork, points: Tensor) -> dict[str, Tensor]:
    """The value of every node of the planned graph at points `[N, *shape]`."""
    compiled = dual.compiled(points)
    return compiled.plan.graph.evaluate([points], dual.environment(compiled, points))
