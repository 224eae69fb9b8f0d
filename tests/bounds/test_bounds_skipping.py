"""Units are skipped only where that changes no bound, which needs a superadditive bound of the set."""

from __future__ import annotations

import torch
from support.networks import Network

import autodual
from autodual.bounds import BoundState
from autodual.bounds.options import BoundOptions
from autodual.bounds.state.sites import Sites
from autodual.ir import ops
from autodual.perturbations.regions.view import WholeView


def _state(ball: autodual.PerturbationSet) -> BoundState:
    network = Network((2,))
    x = torch.zeros(1, 2, dtype=torch.float64)
    return BoundState(network.graph("input"), {}, Sites(), network.environment(), {"input": ball.at(x)}, BoundOptions())


def test_the_better_of_ball_and_box_is_not_superadditive() -> None:
    """The example of docs/mathematics.md: -1/2 and -√5 for two rows, but -√8 for their sum."""
    region = autodual.L2Ball(1.0, (-0.5, 100.0)).at(torch.zeros(1, 2, dtype=torch.float64))
    rows = torch.tensor([[[0.0, 1.0], [-2.0, 1.0], [-2.0, 2.0]]], dtype=torch.float64)
    first, second, both = region.extremes(rows, WholeView())[0][0].tolist()
    assert both < first + second
    assert not region.superadditive


def test_units_are_skipped_where_that_changes_nothing() -> None:
    assert _state(autodual.L2Ball(1.0)).skips
    assert _state(autodual.LinfBall(1.0, (-0.5, 0.5))).skips
    assert not _state(autodual.L2Ball(1.0, (-0.5, 0.5))).skips


def test_rounding_grows_with_the_number_of_nodes() -> None:
    """A bound is a sum over nodes, and rounds once at each."""
    network = Network((2,))
    shallow = _state(autodual.LinfBall(0.1)).error_factor(4)
    name = "input"
    for _ in range(1000):
        name = network.add(ops.Relu(), name)
    x = torch.zeros(1, 2, dtype=torch.float64)
    graph, region = network.graph(name), autodual.LinfBall(0.1).at(x)
    deep = BoundState(graph, {}, Sites(), network.environment(), {"input": region}, BoundOptions()).error_factor(4)
    assert deep > 20 * shallow
