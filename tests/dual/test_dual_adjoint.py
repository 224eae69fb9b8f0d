"""A layer's value along rows, and its slope by the choice of lines, are derivatives of what rows and points make."""

from __future__ import annotations

import pytest
import torch
from support.problems import NONLINEAR, PROBLEMS, Problem, normal
from torch import Tensor

from autodual.dual import AffineRule, DualLayer, Rows, find_rule
from autodual.dual.family import FamilyLayer
from autodual.dual.rule import NonlinearRule
from autodual.interval import Interval


def _points_and_rows(problem: Problem) -> tuple[list[Tensor], Rows]:
    """Three rows of two samples, with no zero among their entries, and a point for each."""
    points = [normal(2, 3, *shape, seed=place) for place, shape in enumerate(problem.shapes)]
    values = normal(2, 3, *problem.node.shape, seed=9)
    return points, Rows(torch.where(values >= 0, values + 0.1, values - 0.1), problem.node.shape)


def _bounds(problem: Problem) -> list[Interval]:
    """Intervals around 0 and away from it, inside the op's domain."""
    found = []
    for place, shape in enumerate(problem.shapes):
        low, high = max(problem.domain[0], -2.0), min(problem.domain[1], 2.0)
        high = high if high > low else low + 2.0  # a domain that begins behind 2
        ends = torch.rand(2, 2, *shape, generator=torch.Generator().manual_seed(place), dtype=torch.float64)
        ends = low + (0.05 + 0.9 * ends.sort(0).values) * (high - low)
        found.append(Interval(ends[0], ends[1]))
    return found


def _assert_along(layer: DualLayer, rows: Rows, points: list[Tensor]) -> None:
    expected = DualLayer.along(layer, rows, points)
    torch.testing.assert_close(layer.along(rows, points).expand_as(expected), expected, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("problem", PROBLEMS, ids=str)
def test_the_value_along_rows_is_the_derivative_by_the_rows(problem: Problem) -> None:
    points, rows = _points_and_rows(problem)
    rule = find_rule(problem.op)
    if isinstance(rule, AffineRule):
        _assert_along(problem.layer(), rows, points)
        return
    assert isinstance(rule, NonlinearRule)
    bounds, environment = _bounds(problem), problem.environment
    for policy in ("shared", "adaptive"):
        _assert_along(rule.layer(problem.op, bounds, environment, policy), rows, points)
    family = rule.family(problem.op, bounds, environment)
    if family is None:
        return
    t = normal(2, 3, *problem.node.shape, seed=5).abs().clamp(0, 1).requires_grad_()
    layer = FamilyLayer(family, t)
    with torch.no_grad():
        _assert_along(FamilyLayer(family, t.detach()), rows, points)
        found = FamilyLayer(family, t.detach()).by_choice(rows, points)
    total = layer.total(rows, points).sum()
    (expected,) = torch.autograd.grad(total, t, allow_unused=True) if total.requires_grad else (None,)
    torch.testing.assert_close(found, torch.zeros_like(found) if expected is None else expected)


@pytest.mark.parametrize("problem", NONLINEAR, ids=str)
def test_a_family_holds_the_adaptive_and_the_parallel_relaxation(problem: Problem) -> None:
    """At the t that it names for them, from which a search begins."""
    rule, bounds, environment = find_rule(problem.op), _bounds(problem), problem.environment
    family = rule.family(problem.op, bounds, environment) if isinstance(rule, NonlinearRule) else None
    if family is None:
        return
    _, rows = _points_and_rows(problem)
    one = torch.ones(2, *problem.node.shape, dtype=torch.float64)
    for policy, t in (
        ("adaptive", torch.zeros_like(one) if family.start is None else family.start),
        ("shared", one if family.parallel is None else family.parallel),
    ):
        expected = rule.layer(problem.op, bounds, environment, policy)
        layer = FamilyLayer(family, t.to(one.dtype).expand_as(one).unsqueeze(1))
        torch.testing.assert_close(layer.gain(rows), expected.gain(rows), atol=1e-9, rtol=1e-9)
        for pulled, wanted in zip(layer.pull(rows), expected.pull(rows)):
            torch.testing.assert_close(pulled.values, wanted.values, atol=1e-9, rtol=1e-9)
