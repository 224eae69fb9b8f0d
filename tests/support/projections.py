"""Estimated bounds together with the state of their computation; estimators may be replaced by exact norms."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from autodual.bounds import BoundState, ObjectiveBounds, Projections, objective_bounds, prepare
from autodual.estimators import Estimator, ExactL1, ExactL2, Stream
from autodual.network import DualNetwork
from autodual.objective import DenseObjective
from autodual.perturbations import PerturbationSet
from autodual.policies import Projection


def estimated_state(
    dual: DualNetwork,
    x: Tensor,
    ball: PerturbationSet,
    projection: Projection,
    objective: Tensor | None = None,
    *,
    exactly: bool = False,
    seed: int = 0,
    **options: object,
) -> tuple[BoundState, ObjectiveBounds | None]:
    """Does what `DualNetwork.forward` does, for all samples at once; `exactly` replaces estimates by exact norms."""
    compiled = dual.compiled(x)
    graph, plan = compiled.plan.graph, compiled.plan
    chosen = replace(compiled.plan.options, **options)  # type: ignore[arg-type]
    regions = {graph.inputs[0]: ball.at(x)}
    state = BoundState(graph, plan.rules, plan.bound_sites, dual.environment(compiled, x), regions, chosen)
    coordinates = sum(node.size for node in graph)

    def exact(order: int, _projection: Projection) -> Estimator:
        return ExactL1(coordinates) if order == 1 else ExactL2(coordinates)

    count = 0 if objective is None else objective.shape[-2]
    arguments = (state, projection, Stream(("test", seed)), count)
    state.memories.keep(Projections(*arguments, exact) if exactly else Projections(*arguments))
    output = graph.outputs[0]
    prepare(state, [output])
    if objective is None:
        return state, None
    rows = objective if objective.dim() == 3 else objective.unsqueeze(0)
    return state, objective_bounds(state, output, DenseObjective(rows.flatten(2)))


def states_agree(first: BoundState, second: BoundState) -> None:
    """Assert that the intervals of all nodes are equal up to rounding."""
    for name, interval in first.intervals.items():
        scale = 1 + float(interval.magnitude.max())
        for end in ("lower", "upper"):
            ours, theirs = (getattr(state.intervals[name], end) for state in (first, second))
            torch.testing.assert_close(ours.expand_as(theirs), theirs, atol=1e-10 * scale, rtol=1e-10)
