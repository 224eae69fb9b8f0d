"""Intervals of built-in affine rules are exact, which the contract does not demand."""

from __future__ import annotations

import pytest
import torch
from support.problems import AFFINE, Problem, normal
from torch import Tensor

from autodual.dual import Rows
from autodual.interval import Interval

CLOSE = {"atol": 1e-11, "rtol": 1e-11}
with_inputs = pytest.mark.parametrize("problem", [problem for problem in AFFINE if problem.shapes], ids=str)


def _points(problem: Problem, count: int, seed: int = 2) -> list[Tensor]:
    return [normal(count, *shape, seed=seed + place) for place, shape in enumerate(problem.shapes)]


def _inner(rows: Tensor, points: Tensor) -> Tensor:
    """⟨row, point⟩ of rows `[K, *shape]` and points `[P, *shape]`: `[P, K]`."""
    return points.flatten(1) @ rows.flatten(1).T


@with_inputs
def test_interval_is_the_exact_range(problem: Problem) -> None:
    """Each output's range over a box is attained at corners, chosen by the signs of its coefficients."""
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
