"""Graphs as text before and after each pass, the observer between passes, and errors that name their pass."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from support.networks import Network

from autodual.errors import InvalidInputError, PassError, UnsupportedOpsError
from autodual.ir import Graph, Node, Op, format_graph, ops
from autodual.passes import (
    AssignRules,
    ChooseExecution,
    FindBoundSites,
    FoldAffine,
    HighProbability,
    Pass,
    RandomProjection,
    RemoveDeadNodes,
    default_pipeline,
    run_passes,
)
from autodual.passes.plan import Plan


def _network() -> tuple[Network, str]:
    """linear, scale and shift, relu, linear; and one dead node (a slice)."""
    network = Network((2,))
    weight, factor = network.parameter(torch.ones(3, 2)), network.parameter(torch.ones(3))
    hidden = network.add(ops.Linear(weight), "input")
    scaled = network.add(ops.ElementwiseAffine(factor, factor), hidden)
    network.add(ops.Slice(0, 0, 2), scaled)
    rectified = network.add(ops.Relu(), scaled)
    return network, network.add(ops.Linear(network.parameter(torch.ones(1, 3))), rectified)


def _plan() -> Plan:
    network, output = _network()
    return Plan(network.graph(output), environment=network.environment())


BEFORE = """\
input: [2] = input()
linear1: [3] = linear(input) {weight=parameter0}
elementwise_affine2: [3] = elementwise_affine(linear1) {factor=parameter1, offset=parameter1}
slice3: [2] = slice(elementwise_affine2) {axis=0, start=0, stop=2}
relu4: [3] = relu(elementwise_affine2)
linear5: [1] = linear(relu4) {weight=parameter2}
return linear5"""
WITHOUT_DEAD = "\n".join(line for line in BEFORE.splitlines() if not line.startswith("slice3"))
FOLDED = """\
input: [2] = input()
elementwise_affine2: [3] = linear(input) {weight=mul(parameter0, ROWS), bias=expand(reshape(parameter1, [-1]), [3])}
relu4: [3] = relu(elementwise_affine2)
linear5: [1] = linear(relu4) {weight=parameter2}
return linear5""".replace("ROWS", "reshape(expand(reshape(parameter1, [-1]), [3]), [3, 1])")


def test_each_pass_as_text() -> None:
    plan = _plan()
    assert format_graph(plan.graph) == BEFORE
    plan = RemoveDeadNodes().run(plan)
    assert format_graph(plan.graph) == WITHOUT_DEAD
    plan = FoldAffine().run(plan)
    assert format_graph(plan.graph) == FOLDED
    plan = FindBoundSites().run(AssignRules().run(plan))
    assert plan.sites == ("elementwise_affine2",) and plan.relaxed == ("relu4",)
    assert "relu4: [3] = relu(elementwise_affine2)  <- ReluRule relaxed" in plan.describe()
    assert "LinearRule [bound site]" in plan.describe()


def test_folding_keeps_nodes_that_others_read() -> None:
    """A layer with two readers, or one that is an output itself, stays as it is."""
    network, output = _network()
    both = network.add(ops.Add(), "linear1", "elementwise_affine2")
    for graph in (network.graph(both), replace(network.graph(output), outputs=("linear1", output))):
        plan = RemoveDeadNodes().run(Plan(graph, environment=network.environment()))
        assert format_graph(FoldAffine().run(plan).graph) == format_graph(plan.graph)


def test_folding_needs_one_factor_per_weight_row() -> None:
    network = Network((2, 3))
    linear = network.add(ops.Linear(network.parameter(torch.ones(4, 3))), "input")
    scaled = network.add(ops.ElementwiseAffine(network.parameter(torch.ones(2, 4))), linear)
    plan = Plan(network.graph(scaled), environment=network.environment())
    assert format_graph(FoldAffine().run(plan).graph) == format_graph(plan.graph)


def test_the_observer_sees_every_pass() -> None:
    seen: list[tuple[str, int]] = []
    run_passes(_plan(), default_pipeline(), lambda name, plan: seen.append((name, len(plan.graph.nodes))))
    assert seen == [
        ("remove-dead-nodes", 5),
        ("merge-equal-nodes", 5),
        ("tie-operands", 5),
        ("fold-affine", 4),
        ("assign-rules", 4),
        ("find-bound-sites", 4),
        ("choose-execution", 4),
    ]


@dataclass(frozen=True)
class Breaking(Pass):
    """Replaces the graph by the given nodes and outputs, or raises an error if there are none."""

    name = "breaking"

    nodes: tuple[Node, ...] | None = None
    outputs: tuple[str, ...] = ("linear5",)

    def run(self, plan: Plan) -> Plan:
        if self.nodes is None:
            raise RuntimeError("something went wrong")
        return replace(plan, graph=Graph(("input",), self.nodes, self.outputs))


_INPUT, _RELU = Node("input", ops.Input(), (), (2,)), Node("r", ops.Relu(), ("input",), (2,))


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (Breaking(), "something went wrong"),
        (Breaking((_INPUT, _RELU, _RELU), ("r",)), "'r' is defined twice"),
        (Breaking((_RELU, _INPUT), ("r",)), "reads 'input' before it is defined"),
        (Breaking((_INPUT, _RELU)), "'linear5' is an input or output of the graph but not a node"),
        (Breaking((_INPUT, replace(_RELU, shape=(-1,))), ("r",)), "has the shape"),
    ],
)
def test_failures_name_the_pass_and_those_before_it(broken: Pass, message: str) -> None:
    with pytest.raises(PassError, match=f"pass 'breaking' failed after remove-dead-nodes, fold-affine: .*{message}"):
        run_passes(_plan(), [RemoveDeadNodes(), FoldAffine(), broken])
    with pytest.raises(PassError, match="pass 'breaking' failed: "):
        run_passes(_plan(), [broken])


def test_ops_without_rules_are_named_together() -> None:
    @dataclass(frozen=True, eq=False)
    class Sine(Op):
        def forward(self, inputs, environment):
            return inputs[0].sin()

    network = Network((2,))
    output = network.add(Sine(), network.add(Sine(), "input"))
    with pytest.raises(UnsupportedOpsError, match="2 operation") as raised:
        run_passes(Plan(network.graph(output), environment=network.environment()), default_pipeline())
    assert "dual_rule(Sine)" in str(raised.value)


@pytest.mark.parametrize(
    ("step", "options", "words"),
    [
        (ChooseExecution, {"mode": "sideways"}, "mode must be"),
        (ChooseExecution, {"memory_budget": 1000}, "at least 1 MiB"),
        (ChooseExecution, {"memory_budget": "1GiB"}, "number of bytes"),
        (HighProbability, {"delta": 2}, "less than 1, but is 2"),
        (HighProbability, {"delta": math.nan}, "less than 1, but is nan"),
        (HighProbability, {"delta": "1%"}, "delta must be a number"),
        (HighProbability, {"seed": 1.5}, "seed must be a whole number"),
        (RandomProjection, {"dim": 0}, "dim must be a whole number of at least 1"),
        (RandomProjection, {"dim": 2.5}, "dim must be a whole number of at least 1"),
        (RandomProjection, {"where": "outside"}, "'inner', 'last' or 'both'"),
    ],
)
def test_options_are_checked_when_a_pass_is_made(step: type[Pass], options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        step(**options)
