"""The contract of affine rules, for every one registered: adjoint pull and push, exact intervals, counted costs."""

from __future__ import annotations

import pytest
import torch
from support.problems import AFFINE, RELAXED, Problem, normal
from torch import Tensor

from autodual.dual import Rows, registered
from autodual.interval import Interval
from autodual.ir import ops

CLOSE = {"atol": 1e-11, "rtol": 1e-11}
every_problem = pytest.mark.parametrize("problem", AFFINE, ids=str)
with_inputs = pytest.mark.parametrize("problem", [problem for problem in AFFINE if problem.shapes], ids=str)


def _points(problem: Problem, count: int, seed: int = 2) -> list[Tensor]:
    return [normal(count, *shape, seed=seed + place) for place, shape in enumerate(problem.shapes)]


def _rows(problem: Problem, count: int = 5) -> Rows:
    """One group of rows that every sample shares."""
    shape = problem.node.shape
    return Rows(normal(1, count, *shape, seed=9), shape)


def _inner(rows: Tensor, points: Tensor) -> Tensor:
    """⟨row, point⟩ of rows `[K, *shape]` and points `[P, *shape]`: `[P, K]`."""
    return points.flatten(1) @ rows.flatten(1).T


def test_every_rule_has_a_problem() -> None:
    tried = {type(problem.op) for problem in [*AFFINE, *RELAXED]}
    assert {op for op, _ in registered()} <= tried
    assert ops.Input not in tried


@with_inputs
def test_pull_is_the_adjoint_of_push(problem: Problem) -> None:
    """⟨ν, push v⟩ = ⟨pull ν, v⟩, for all inputs at once and for each alone."""
    layer, rows, points = problem.layer(), _rows(problem), _points(problem, 4)
    pulled = layer.pull(rows)
    assert [part.shape for part in pulled] == list(problem.shapes)
    expected = sum(_inner(part.values[0], point) for part, point in zip(pulled, points))
    torch.testing.assert_close(_inner(rows.values[0], layer.push(points)), expected, **CLOSE)
    for place, (part, point) in enumerate(zip(pulled, points)):
        alone: list[Tensor | None] = [None] * len(points)
        alone[place] = point
        moved = layer.push(alone)
        torch.testing.assert_close(_inner(rows.values[0], moved), _inner(part.values[0], point), **CLOSE)


@every_problem
def test_pull_and_objective_are_the_op(problem: Problem) -> None:
    """⟨ν, op(v)⟩ = ⟨pull ν, v⟩ + the objective's contribution (equation 3.13): no reference to push."""
    layer, rows, points = problem.layer(), _rows(problem), _points(problem, 4)
    value = problem.op.forward(points, problem.environment)
    contribution = layer.objective(rows)
    assert contribution.width is None
    found = torch.zeros(4, rows.count, dtype=torch.float64)
    if contribution.centre is not None:
        found = found + contribution.centre
    for part, point in zip(layer.pull(rows), points):
        found = found + _inner(part.values[0], point)
    torch.testing.assert_close(found, _inner(rows.values[0], value).expand_as(found), **CLOSE)


@every_problem
def test_the_centre_line_is_the_op(problem: Problem) -> None:
    points = _points(problem, 3)
    expected = problem.op.forward(points, problem.environment)
    torch.testing.assert_close(problem.layer().constant(points), expected, **CLOSE)
    assert problem.layer().linear and problem.layer().spread() is None


@with_inputs
def test_interval_is_the_exact_range(problem: Problem) -> None:
    """Each output's range over a box: reached at the corner where every coefficient's sign says so."""
    layer, centres = problem.layer(), _points(problem, 2)
    radii = [normal(2, *shape, seed=5).abs() for shape in problem.shapes]
    found = layer.interval([Interval.around(centre, radius) for centre, radius in zip(centres, radii)])
    middle = problem.op.forward(centres, problem.environment).flatten(1)
    size = problem.node.size
    identity = Rows(torch.eye(size, dtype=torch.float64).reshape(1, size, *problem.node.shape), problem.node.shape)
    pulled = layer.pull(identity)
    width = sum(_inner(part.values[0].abs(), radius) for part, radius in zip(pulled, radii))
    torch.testing.assert_close(found.lower.flatten(1), middle - width, **CLOSE)
    torch.testing.assert_close(found.upper.flatten(1), middle + width, **CLOSE)


@with_inputs
def test_costs_are_counted(problem: Problem) -> None:
    """`terms` is at least the longest sum, on which bounds of rounding error rest."""
    layer, size = problem.layer(), problem.node.size
    identity = Rows(torch.eye(size, dtype=torch.float64).reshape(1, size, *problem.node.shape), problem.node.shape)
    matrix = torch.cat([part.values[0].flatten(1) for part in layer.pull(identity)], 1)
    longest = max(int((matrix != 0).sum(1).max()), int((matrix != 0).sum(0).max()))
    assert layer.terms >= longest
    assert layer.multiplications >= 0
