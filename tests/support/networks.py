"""Networks built directly in the intermediate representation, without tracing: fast, and with any variant of an op."""

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
        """A constant of integers, which is not converted to the dtype of the network."""
        return Call(lambda: value)

    def add(self, op: Op, *inputs: str) -> str:
        """Add a node and return its name; its shape is found by running the op on zeros."""
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
        """The dual network whose output is this node."""
        return dual_of(self.graph(output), self.module, passes)


def dual_of(graph: Graph, module: nn.Module, passes: Sequence[Pass] | None = None) -> DualNetwork:
    """The dual network of a graph with a module's parameters; passes: the default pipeline if not given."""
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
    """Sets any bound options, even those that users cannot set, such as a budget so small that rows go one by one."""

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
