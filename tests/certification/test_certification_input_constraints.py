"""Properties with linear constraints between inputs: verdicts against programs and grids."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn

import autodual
from autodual.certification.verdicts.open_cases import Problem
from autodual.errors import InvalidInputError
from autodual.properties import Case, Conjunction, Property, Variable

ReadProperty = Callable[[str], Property]

_ROWS = numpy.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 2.0], [0.0, 1.0]])


@pytest.fixture(scope="module")
def dual() -> autodual.DualNetwork:
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 1)).double()
    return autodual.compile_dual(model, torch.zeros(1, 2, dtype=torch.float64))


def _goal(relation: Conjunction, below: float) -> Property:
    """Inputs of [-1, 1]² that keep the relation and have an output of at most `below`."""
    violation = Conjunction(numpy.ones((1, 1)), numpy.array([below]), numpy.array([False]))
    case = Case(numpy.full(2, -1.0), numpy.ones(2), (violation,), relation)
    return Property((Variable("X", (2,)),), (Variable("Y", (1,)),), (case,), "1.0", None, 0, "")


def _relation(rows: numpy.ndarray, bounds: list[float]) -> Conjunction:
    return Conjunction(rows, numpy.array(bounds), numpy.zeros(len(rows), bool))


def _least(dual: autodual.DualNetwork, relation: Conjunction, count: int = 161) -> float:
    """The least output over a grid of the points that keep the relation."""
    axis = numpy.linspace(-1, 1, count)
    points = numpy.array([point for point in itertools.product(axis, axis) if relation.holds(point)])
    return float(dual.outputs(torch.from_numpy(points)).min()) if len(points) else numpy.inf


@settings(max_examples=12)
@example(rows={1, 3}, bound=-6, gap=-0.5)  # empty, by a row of one input
@given(
    rows=st.sets(st.integers(0, 3), min_size=1, max_size=2),
    bound=st.integers(-6, 8),
    gap=st.sampled_from([-0.5, -0.02, 0.02]),
)
def test_verdicts_agree_with_a_grid(dual: autodual.DualNetwork, rows: set[int], bound: int, gap: float) -> None:
    relation = _relation(_ROWS[sorted(rows)], [bound / 10] * len(rows))
    least = _least(dual, relation)
    goal = _goal(relation, least + gap if least < numpy.inf else 0.0)
    found = autodual.verify(dual, goal, timeout=20.0)
    if found.status.value == "sat":
        assert found.inputs is not None and goal.violation(found.inputs, found.outputs) == 0
    if gap > 0 and least < numpy.inf:
        assert found.status.value == "sat"
    elif gap == -0.5:  # the grid misses the least value by less
        assert found.status.value == "unsat"


@pytest.mark.parametrize("options", [{}, {"attack": None}, {"exact_seconds": 5.0}, {"bracket": True}])
def test_parts_without_points_are_discarded(dual: autodual.DualNetwork, options: dict) -> None:
    """x0 + x1 ≤ -0.1 and x0 + x1 ≥ 0: no bound of the outputs would ever close it."""
    relation = _relation(numpy.array([[1.0, 1.0], [-1.0, -1.0]]), [-0.1, 0.0])
    found = autodual.verify(dual, _goal(relation, 1e6), timeout=20, **options)
    assert found.status.value == "unsat"
    assert found.method == "constraints between inputs"


def test_the_exact_decision_uses_constraints(dual: autodual.DualNetwork) -> None:
    """Where bounds alone decide nothing, the program does: once with a violation and once without."""
    relation = _relation(_ROWS[:2], [0.2, 0.1])
    least = _least(dual, relation, 401)
    for gap, status in ((-0.01, "unsat"), (0.01, "sat")):
        goal = _goal(relation, least + gap)
        problem = Problem.of(goal, {0: (0,)}, (2,), torch.device("cpu"))
        bounds = autodual.exact_bounds(
            dual, problem.middle, problem.proof_region(torch.float64).source, torch.ones(1, 1).double()
        )
        assert float(bounds.lower) == pytest.approx(least, abs=5e-3)
        assert autodual.verify(dual, goal, timeout=20, exact_seconds=10.0).status.value == status


def test_an_equation_between_inputs(property_of: ReadProperty) -> None:
    """|x0| - |x1| with x0 = x1: 0 everywhere, where the box alone has -1 to 1."""

    class Difference(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[:, :1].abs() - x[:, 1:].abs()

    dual = autodual.compile_dual(Difference(), torch.zeros(1, 2))
    text = "(declare-const X_0 Real)(declare-const X_1 Real)(declare-const Y_0 Real)" + "".join(
        f"(assert (>= X_{i} 0.0625))(assert (<= X_{i} 1))" for i in range(2)
    )
    for claim, status in (("<= Y_0 -0.001", "unsat"), ("<= Y_0 0.0", "sat")):
        goal = property_of(f"{text}(assert (= X_0 X_1))(assert ({claim}))")
        assert autodual.verify(dual, goal, timeout=20).status.value == status


def test_strict_ends_of_inputs_are_respected(property_of: ReadProperty) -> None:
    """x < 0.5: the output x is below 0.5 there, and comes as close as float32 numbers do."""
    dual = autodual.compile_dual(nn.Identity(), torch.zeros(1, 1))
    text = "(declare-const X_0 Real)(declare-const Y_0 Real)(assert (>= X_0 0))(assert (< X_0 0.5))"
    found = autodual.verify(dual, property_of(f"{text}(assert (>= Y_0 0.4999999))"), timeout=20)
    assert found.status.value == "sat"
    assert float(found.inputs[0]) < 0.5


@pytest.mark.parametrize(
    ("constraint", "status"),
    [
        ("(<= (+ X_0 X_1) 1e39)", "sat"),  # beyond float32
        ("(<= (+ (* 1e300 X_0) (* 1e300 X_1)) 1e300)", "sat"),
        ("(<= (+ (* 1e-30 X_0) (* 1e-30 X_1)) -3e-30)", "unsat"),
        ("(<= (+ (* 1e-300 X_0) (* 1e-300 X_1)) -1e300)", "unsat"),
        ("(<= (+ (* 1e39 X_0) X_1) -1e39)", "sat"),
    ],
)
def test_constraints_may_have_any_unit(constraint: str, status: str, property_of: ReadProperty) -> None:
    dual = autodual.compile_dual(nn.Identity(), torch.zeros(1, 2))
    text = "".join(f"(declare-const {name}_{i} Real)" for name in "XY" for i in range(2)) + "".join(
        f"(assert (>= X_{i} -1))(assert (<= X_{i} 1))" for i in range(2)
    )
    goal = property_of(f"{text}(assert {constraint})(assert (<= Y_1 0.5))")
    assert autodual.verify(dual, goal, timeout=20).status.value == status


def test_inputs_beyond_float32_are_refused_in_a_sentence(property_of: ReadProperty) -> None:
    dual = autodual.compile_dual(nn.Identity(), torch.zeros(1, 1))
    text = "(declare-const X_0 Real)(declare-const Y_0 Real)(assert (>= X_0 0))(assert (<= X_0 1e39))"
    goal = property_of(f"{text}(assert (>= Y_0 4))")
    with pytest.raises(InvalidInputError, match=r"larger than 3.4e\+38.*rescale"):
        autodual.verify(dual, goal)


def test_the_exact_decision_leaves_cases_without_constraints_of_outputs(dual: autodual.DualNetwork) -> None:
    """Every input is a violation, and a program would have nothing to compare."""
    goal = _goal(_relation(_ROWS[:2], [0.2, 0.1]), 0.0)
    nothing = Conjunction(numpy.zeros((0, 1)), numpy.zeros(0), numpy.zeros(0, bool))
    goal = replace(goal, cases=(replace(goal.cases[0], conjunctions=(nothing,)),))
    assert autodual.verify(dual, goal, timeout=2, attack=None, exact_seconds=1.0).status.value != "unsat"
