"""Queries of VNN-LIB 2.0 beyond one network's inputs and outputs: products, ties, hidden values, several networks."""

from __future__ import annotations

import numpy
import pytest

from autodual.errors import DataError
from autodual.properties import Property

SCALARS = "".join(f"(declare-const {kind}_{place} Real)" for kind in "XY" for place in (0, 1))
BOX = "".join(f"(assert (<= -2 X_{place} 2))" for place in (0, 1))
PAIR = """(vnnlib-version <2.0>)
(declare-network f
  (declare-input X float32 [1,2]) (declare-hidden H float32 [3] "inner") (declare-output Y float32 [2]))
(declare-network g (equal-to f) (declare-input U float32 [1,2]) (declare-output Z float32 [2]))
"""
RANGES = "".join(f"(assert (and (>= {v}[0,{i}] -1.0) (<= {v}[0,{i}] 1.0)))" for v in "XU" for i in (0, 1))


def violated(goal: Property, inputs: numpy.ndarray, outputs: numpy.ndarray) -> bool:
    """Whether inputs and outputs without products are a violation."""
    outputs = goal.completed(inputs, numpy.concatenate([outputs, numpy.full(len(goal.products), numpy.nan)]))
    return goal.violation(inputs, outputs) is not None


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("(<= (* Y_0 Y_1) 1)", lambda x, y: y[0] * y[1] <= 1),
        ("(>= (* (+ X_0 2) (- Y_1 1)) (* 3 X_1))", lambda x, y: (x[0] + 2) * (y[1] - 1) >= 3 * x[1]),
        ("(< Y_0 X_1)", lambda x, y: y[0] < x[1]),
        ("(<= (* X_0 X_0) 1)", lambda x, y: x[0] * x[0] <= 1),
        ("(or (<= (* Y_0 Y_0 X_0) 1) (>= Y_1 1))", lambda x, y: y[0] * y[0] * x[0] <= 1 or y[1] >= 1),
        ("(not (<= (* (- Y_0 Y_1) (- Y_0 Y_1)) 1))", lambda x, y: not (y[0] - y[1]) ** 2 <= 1),
        ("(= (* 2 (* Y_0 0)) 0)", lambda x, y: True),
        ("(<= (let ((a (* Y_0 X_0))) (+ a (* 0.5 a))) 1)", lambda x, y: 1.5 * (y[0] * x[0]) <= 1),
    ],
)
def test_products_and_ties_mean_what_they_say(text, meaning, property_of) -> None:
    goal = property_of(SCALARS + BOX + f"(assert {text})")
    generator = numpy.random.default_rng(0)
    seen = set()
    for _ in range(200):
        x, y = generator.integers(-8, 9, (2, 2)) / 4
        seen.add(meaning(x, y))
        assert violated(goal, x, y) == meaning(x, y), (x, y)
    assert len(seen) == 2 or text.startswith("(= ")


def test_equal_products_are_one_output(property_of) -> None:
    goal = property_of(SCALARS + BOX + "(assert (<= (* Y_0 X_1) 1))(assert (>= (* 3 X_1 Y_0) (* Y_1 Y_1)))")
    assert sorted(goal.products) == [(1, 2), (3, 3)]
    assert goal.output_size == 4 and goal.composed


def test_several_networks_and_hidden_values_are_numbered_one_after_another(property_of) -> None:
    goal = property_of(PAIR + RANGES + "(assert (>= (- Y[1] Z[0]) H[2]))")
    assert [network.name for network in goal.declarations] == ["f", "g"]
    assert goal.declarations[1].equal_to == "f"
    assert [one.name for one in goal.outputs] == ["Y", "Z", "H"]
    assert (goal.outputs[2].onnx_name, goal.outputs[2].element, goal.input_size) == ("inner", "float32", 4)
    (conjunction,) = goal.cases[0].conjunctions
    assert conjunction.matrix.tolist() == [[0, -1, 1, 0, 0, 0, 1]]


def test_equal_inputs_of_two_networks_are_one(property_of) -> None:
    ties = "(assert (== X[0,0] U[0,0]))(assert (and (<= U[0,1] X[0,1]) (>= U[0,1] X[0,1])))"
    goal = property_of(PAIR + RANGES + ties + "(assert (<= U[0,0] 0.5))(assert (>= (* U[0,1] Y[0]) 1.0))")
    assert (goal.sources, goal.input_size) == ((0, 1, 0, 1), 2)
    assert goal.declared(numpy.array([3.0, 4.0])).tolist() == [3, 4, 3, 4]
    assert goal.cases[0].upper.tolist() == [0.5, 1.0] and goal.cases[0].relation is None
    assert goal.products == ((1, 2),)


def test_what_is_no_equality_of_inputs_ties_nothing(property_of) -> None:
    loose = "(assert (<= X[0,0] U[0,0]))(assert (== X[0,1] (* 2.0 U[0,1])))(assert (== (+ X[0,1] 0.5) U[0,0]))"
    either = "(assert (or (== X[0,0] U[0,0]) (>= Y[0] 3.0)))"
    goal = property_of(PAIR + RANGES + loose + either + "(assert (>= Y[0] 1.0))")
    assert goal.sources == () and goal.input_size == 4


def test_long_products_are_refused(property_of) -> None:
    total = "(+ " + " ".join(["X_0", "X_1"]) + ")"
    wide = "".join(f"(declare-const X_{i} Real)(assert (<= 0 X_{i} 1))" for i in range(40))
    terms = "(+ " + " ".join(f"X_{i}" for i in range(40)) + ")"
    with pytest.raises(DataError, match="products"):
        property_of(wide + f"(declare-const Y_0 Real)(assert (<= (* {terms} {terms}) Y_0))")
    assert property_of(SCALARS + BOX + f"(assert (<= (* {total} {total}) Y_0))").output_size == 2 + 3
    with pytest.raises(DataError, match="int32"):
        property_of(PAIR.replace("float32", "int32") + "(assert (<= Y[0] Y[1]))")
