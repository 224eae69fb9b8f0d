"""Bounds proved from dual multipliers hold whatever a solver returns, and are tight where its multipliers are."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import autodual
from autodual.exact.certain_minimum import certain_minimum
from autodual.exact.linear_program import ProgramBuilder
from autodual.exact.linear_solver import LinearSolver, Solved


def _random_program(seed: int):
    """A program that a random point satisfies, costs, that point, and random multipliers."""
    random = numpy.random.default_rng(seed)
    builder, width, height = ProgramBuilder(), 5, 4
    scale = 10.0 ** random.integers(-6, 7, width)
    point = random.normal(size=width) * scale
    columns = builder.add_columns(point - random.random(width) * scale, point + random.random(width) * scale)
    matrix = random.normal(size=(height, width)) * (random.random((height, width)) < 0.7)
    values = matrix @ point
    room = 1e-12 * (numpy.abs(matrix) @ numpy.abs(point))
    low = numpy.where(random.random(height) < 0.3, -numpy.inf, values - room - random.random(height) * (seed % 2))
    for row in range(height):
        here = matrix[row].nonzero()[0]
        entries = (numpy.zeros(len(here), int), columns[here], matrix[row, here])
        builder.add_rows([entries], low[row : row + 1], values[row] + room[row], 1, numpy.zeros(1))
    multipliers = random.normal(size=height) * 10.0 ** random.integers(-3, 4)
    return builder.program(), random.normal(size=width), point, multipliers


@given(st.integers(0, 2**31))
@settings(max_examples=200)
def test_no_multipliers_prove_more_than_the_minimum(seed: int) -> None:
    program, cost, point, multipliers = _random_program(seed)
    bound = certain_minimum(program, cost, multipliers, program.lower, program.upper)
    exact = sum(Fraction(a) * Fraction(b) for a, b in zip(cost.tolist(), point.tolist()))
    assert bound <= exact


def test_right_multipliers_prove_the_minimum() -> None:
    program, cost, _, _ = _random_program(1)
    solved = LinearSolver(program, cost).solve(numpy.zeros(0), numpy.zeros(0), math.inf, math.inf)
    assert solved is not None
    bound = certain_minimum(program, cost, solved.multipliers, program.lower, program.upper)
    assert bound <= solved.value and bound == pytest.approx(solved.value, rel=1e-6)


def test_nan_and_infinite_values_prove_nothing() -> None:
    program, cost, _, multipliers = _random_program(2)
    assert certain_minimum(program, cost, multipliers * numpy.nan, program.lower, program.upper) < math.inf
    endless = numpy.full_like(program.lower, numpy.inf)
    assert certain_minimum(program, cost, multipliers, program.lower, endless) == -math.inf
    assert certain_minimum(program, cost * numpy.nan, multipliers, program.lower, program.upper) == -math.inf


@pytest.mark.parametrize("lie", ["value", "no point", "garbage"])
def test_a_solver_that_lies_certifies_nothing(lie: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 6), nn.ReLU(), nn.Linear(6, 3))
    x, ball = torch.rand(8, 2), autodual.LinfBall(0.6)
    dual = autodual.compile_dual(model, x)
    honest = autodual.certify(dual, x, ball, exact_seconds=60.0)
    true = LinearSolver.solve

    def lying(self: LinearSolver, *arguments) -> Solved | None:
        solved, random = true(self, *arguments), numpy.random.default_rng(0)
        assert solved is not None
        if lie == "value":
            return Solved(1e9, None, solved.multipliers * 0)
        if lie == "no point":
            return Solved(math.inf, None, solved.multipliers, infeasible=True)
        return Solved(1e9, None, random.normal(size=len(solved.multipliers)))

    monkeypatch.setattr(LinearSolver, "solve", lying)
    found = autodual.certify(dual, x, ball, exact_seconds=1.0)
    falsified = [place for place, one in enumerate(honest) if one.status is autodual.Status.FALSIFIED]
    assert falsified and not any(found[place].certified for place in falsified)
