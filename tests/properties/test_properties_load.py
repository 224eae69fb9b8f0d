"""Reading VNN-LIB: both versions give the same cases, no constraint is dropped, unsupported properties are refused."""

from __future__ import annotations

import gzip
import itertools
import random
from pathlib import Path

import numpy
import pytest

from autodual.errors import DataError, EmptySetError
from autodual.properties import load_property

DECLARED = """
(declare-const X_0 Real)
(declare-const X_1 Real) ; a comment (with a parenthesis
(declare-const Y_0 Real)
(declare-fun Y_1 () Real)
"""
HEAD = """
(vnnlib-version <2.0>)
(declare-network f
  (declare-input X float32 [1,2])
  (declare-output Y float32 [2]))
"""
BOX = "(assert (<= X_0 1)) (assert (>= X_0 -1e0)) (assert (and (<= X_1 2.5) (<= .5 X_1)))"
BOX2 = "(assert (<= X[0,0] 1.0)) (assert (>= X[0,0] -1.0)) (assert (and (<= X[0,1] 2.5) (<= 0.5 X[0,1])))"


def test_a_box_and_a_conjunction(property_of) -> None:
    found = property_of(DECLARED + BOX + "(assert (<= Y_0 Y_1)) (assert (> (+ Y_0 (* 2 Y_1)) (- 3 0.5)))")
    (case,) = found.cases
    assert (found.version, found.network, found.input_size, found.output_size) == ("1.0", None, 2, 2)
    assert case.lower.tolist() == [-1, 0.5]
    assert case.upper.tolist() == [1, 2.5]
    (conjunction,) = case.conjunctions
    assert conjunction.matrix.tolist() == [[1, -1], [-1, -2]]
    assert conjunction.bound.tolist() == [0, -2.5]
    assert conjunction.strict.tolist() == [False, True]
    assert case.relation is None


def test_version_2_says_the_same(property_of) -> None:
    found = property_of(HEAD + BOX2 + "(assert (<= Y[0] Y[1])) (assert (> (+ Y[0] (* 2.0 Y[1])) (- 3.0 0.5)))")
    first = property_of(DECLARED + BOX + "(assert (<= Y_0 Y_1)) (assert (> (+ Y_0 (* 2 Y_1)) (- 3 0.5)))")
    assert (found.version, found.network) == ("2.0", "f")
    assert (found.inputs[0].name, found.inputs[0].shape) == ("X", (1, 2))
    for mine, other in zip(found.cases, first.cases, strict=True):
        assert numpy.array_equal(mine.lower, other.lower)
        assert numpy.array_equal(mine.upper, other.upper)
        for left, right in zip(mine.conjunctions, other.conjunctions, strict=True):
            assert numpy.array_equal(left.matrix, right.matrix)
            assert numpy.array_equal(left.bound, right.bound)
            assert numpy.array_equal(left.strict, right.strict)


#: Formulas over two inputs and outputs, and the same in Python; the input box is always [-1, 1] x [0.5, 2.5].
FORMULAS = {
    "(or (and (<= X_0 0) (>= Y_0 1)) (and (>= X_0 0) (<= Y_1 -1) (<= Y_0 0)))": lambda x, y: (
        (x[0] <= 0 and y[0] >= 1) or (x[0] >= 0 and y[1] <= -1 and y[0] <= 0)
    ),
    "(and (or (<= X_0 -0.5) (>= X_0 0.5)) (or (<= Y_0 0) (<= Y_1 0)))": lambda x, y: (
        (x[0] <= -0.5 or x[0] >= 0.5) and (y[0] <= 0 or y[1] <= 0)
    ),
    "(or (< X_0 0) (= Y_0 Y_1))": lambda x, y: x[0] < 0 or y[0] == y[1],
    "(and (<= (+ X_0 X_1) 1) (!= Y_0 0))": lambda x, y: x[0] + x[1] <= 1 and y[0] != 0,
    "(or (<= Y_0 (- 1)) (<= (/ Y_1 -2) 0.5 ))": lambda x, y: y[0] <= -1 or y[1] >= -1,
    "(or (>= (+ Y_0 1) (+ Y_0 2)) (>= Y_1 1))": lambda x, y: y[1] >= 1,
    "(or (or (<= Y_0 0) (and (<= Y_1 0) (or (<= X_1 1) (>= X_1 2)))))": lambda x, y: (
        y[0] <= 0 or (y[1] <= 0 and (x[1] <= 1 or x[1] >= 2))
    ),
    "(<= -1 Y_0 Y_1 1)": lambda x, y: -1 <= y[0] <= y[1] <= 1,
    "(> 2 Y_1 Y_0)": lambda x, y: 2 > y[1] > y[0],
    "(= Y_0 Y_1 1)": lambda x, y: y[0] == y[1] == 1,
    "(distinct Y_0 Y_1 0)": lambda x, y: len({y[0], y[1], 0}) == 3,
    "(not (<= Y_0 0))": lambda x, y: y[0] > 0,
    "(not (< X_0 0))": lambda x, y: x[0] >= 0,
    "(not (= Y_0 Y_1))": lambda x, y: y[0] != y[1],
    "(not (<= -1 Y_0 1))": lambda x, y: not -1 <= y[0] <= 1,
    "(not (distinct Y_0 Y_1 0))": lambda x, y: len({y[0], y[1], 0}) < 3,
    "(not (and (>= Y_0 0) (or (> Y_1 0) (not (< X_0 0)))))": lambda x, y: (
        not (y[0] >= 0 and (y[1] > 0 or not x[0] < 0))
    ),
    "(=> (<= X_0 0) (> X_1 1) (< Y_0 Y_1))": lambda x, y: not x[0] <= 0 or not x[1] > 1 or y[0] < y[1],
    "(not (=> (<= X_0 0) (<= Y_0 0)))": lambda x, y: x[0] <= 0 and y[0] > 0,
    "(xor (<= Y_0 0) (<= Y_1 0) (<= X_0 0))": lambda x, y: (y[0] <= 0) ^ (y[1] <= 0) ^ (x[0] <= 0),
    "(= (<= Y_0 0) (<= Y_1 0))": lambda x, y: (y[0] <= 0) == (y[1] <= 0),
    "(distinct (<= Y_0 0) (<= Y_1 0))": lambda x, y: (y[0] <= 0) != (y[1] <= 0),
    "(ite (<= X_0 0) (<= Y_0 0) (> Y_1 0))": lambda x, y: y[0] <= 0 if x[0] <= 0 else y[1] > 0,
    "(let ((s (+ Y_0 Y_1)) (c (<= X_0 0))) (and c (<= s 1) (not (<= s 0))))": lambda x, y: (
        x[0] <= 0 and 0 < y[0] + y[1] <= 1
    ),
    # A let's values cannot use its own names; an inner let shadows an outer one, or a variable, until it closes.
    "(let ((Y_0 Y_1) (Y_1 Y_0)) (<= Y_0 Y_1 0))": lambda x, y: y[1] <= y[0] <= 0,
    "(let ((a Y_0)) (and (let ((a (+ a 1))) (<= a 1)) (>= a -1)))": lambda x, y: -1 <= y[0] <= 0,
    "(and true (or false (<= Y_0 0)) (not false))": lambda x, y: y[0] <= 0,
}


@pytest.mark.parametrize("text", FORMULAS)
def test_cases_mean_what_the_formula_means(text: str, property_of) -> None:
    """At every point of a grid, including the boundaries."""
    found = property_of(DECLARED + BOX + f"(assert {text})")
    verdicts = set()
    for x in itertools.product([-1.5, -1, -0.5, 0, 0.5, 1], [0.25, 0.5, 1, 1.5, 2, 2.5]):
        for y in itertools.product([-2, -1, 0, 1, 2], [-2, -1, 0, 1, 2]):
            inside = -1 <= x[0] <= 1 and 0.5 <= x[1] <= 2.5
            expected = inside and FORMULAS[text](x, y)
            assert (found.violation(numpy.array(x), numpy.array(y)) is not None) == expected, (x, y)
            verdicts.add(expected)
    assert verdicts == {True, False}


class Drawn:
    """Random formulas, as text and as Python."""

    def __init__(self, seed: int):
        self.random = random.Random(seed)

    def formula(self, depth: int, names: tuple[str, ...] = ()) -> tuple[str, str]:
        kind = self.random.choice(["and", "or", "not", "=>", "xor", "=", "ite", "let"]) if depth else "atom"
        if kind == "atom":
            return self.atom(names)
        if kind == "let":
            value, meant = self.formula(depth - 1, names)
            body, result = self.formula(depth - 1, (*names, "a"))
            return f"(let ((a {value})) {body})", f"(lambda a: {result})({meant})"
        count = {"not": 1, "ite": 3}.get(kind, 2)
        texts, meanings = zip(*(self.formula(depth - 1, names) for _ in range(count)))
        python = {
            "and": "({} and {})",
            "or": "({} or {})",
            "not": "(not {})",
            "=>": "(not {} or {})",
            "xor": "({} != {})",
            "=": "({} == {})",
            "ite": "({1} if {0} else {2})",
        }[kind]
        return f"({kind} {' '.join(texts)})", python.format(*meanings)

    def atom(self, names: tuple[str, ...]) -> tuple[str, str]:
        if names and self.random.random() < 0.4:
            return "a", "a"
        kind = self.random.choice(["<=", "<", ">=", ">"])
        column, level = self.random.randrange(2), self.random.choice([-1, 0, 1])
        return f"({kind} Y_{column} {level})", f"(y[{column}] {kind} {level})"


@pytest.mark.parametrize("seed", range(30))
def test_random_formulas_mean_what_they_say(seed: int, property_of) -> None:
    """At every point of a grid, against Python's own operators."""
    text, meaning = Drawn(seed).formula(2 + seed % 2)
    grid = list(itertools.product([-2, -1, 0, 1, 2], repeat=2))
    expected = [eval(meaning, {"y": y}) for y in grid]
    try:
        found = property_of(DECLARED + BOX + f"(assert {text})")
    except EmptySetError:
        assert not any(expected)
        return
    assert [found.violation(numpy.array([0, 1]), numpy.array(y)) is not None for y in grid] == expected


def test_negation_keeps_strictness(property_of) -> None:
    """At the boundary, where < and <= differ."""
    for text, holds in (("(not (<= Y_0 0))", False), ("(not (< Y_0 0))", True), ("(not (not (<= Y_0 0)))", True)):
        found = property_of(DECLARED + BOX + f"(assert {text})")
        assert (found.violation(numpy.array([0, 1]), numpy.array([0.0, 0.0])) is not None) == holds, text


def test_shared_values_of_let_are_expanded_only_once(property_of) -> None:
    """A hundred doublings of a sum, a conjunction or a disjunction would have 2¹⁰⁰ parts if written out."""
    for first, doubled in (
        ("(+ Y_0 1)", "(+ a a)"),
        ("(and (<= Y_0 0) (<= Y_1 0))", "(and a a)"),
        ("(or (<= Y_0 0) (<= Y_1 0))", "(or a a)"),
        ("(or (<= Y_0 0) (<= Y_1 0))", "(not (and (not a) (not a)))"),
    ):
        last = "(<= a 0)" if first.startswith("(+") else "a"
        text = f"(let ((a {first})) " + f"(let ((a {doubled})) " * 100 + last + ")" * 101
        (case,) = property_of(DECLARED + BOX + f"(assert {text})").cases
        assert sum(len(conjunction.bound) for conjunction in case.conjunctions) <= 2


@pytest.mark.parametrize(
    "mark, encoding", [(b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")]
)
def test_byte_order_marks(mark: bytes, encoding: str, tmp_path: Path) -> None:
    for text in (DECLARED + BOX + "(assert (<= Y_0 0))", HEAD + BOX2 + "(assert (<= Y[0] 0.0))"):
        (tmp_path / "p.vnnlib").write_bytes(mark + text.encode(encoding))
        assert len(load_property(tmp_path / "p.vnnlib").cases) == 1


def test_quoted_words_may_hold_parentheses(property_of) -> None:
    head = '(set-info :source |from (a paper|) (set-info :notes "see (1")'
    assert len(property_of(head + DECLARED + BOX + "(assert (<= Y_0 0))").cases) == 1


def test_common_constraints_apply_to_every_case(property_of) -> None:
    boxes = "(or (and (<= X_0 0) (>= X_0 -1)) (and (<= X_0 1) (>= X_0 0.5)))"
    rest = "(assert (<= X_1 1)) (assert (>= X_1 0)) (assert (or (<= Y_0 0) (<= Y_1 0) (<= Y_0 Y_1)))"
    found = property_of(DECLARED + f"(assert {boxes})" + rest)
    assert [(case.lower.tolist(), case.upper.tolist()) for case in found.cases] == [
        ([-1, 0], [0, 1]),
        ([0.5, 0], [1, 1]),
    ]
    assert [len(case.conjunctions) for case in found.cases] == [3, 3]


def test_version_2_keeps_small_coefficients_and_constraints_beside_disjunctions(property_of) -> None:
    """The vnnlib package's own conversions lose both."""
    found = property_of(HEAD + BOX2 + "(assert (or (<= Y[0] 0.0) (>= (+ Y[0] (* 0.0000000001 Y[1])) 1.0)))")
    (case,) = found.cases
    assert case.lower.tolist() == [-1, 0.5]
    assert case.conjunctions[1].matrix.tolist() == [[-1, -1e-10]]


def test_impossible_combinations_are_counted(property_of) -> None:
    split = "(assert (or (<= X_0 0) (>= X_0 0.5)))"
    found = property_of(DECLARED + BOX + split + split + "(assert (<= Y_0 0))")
    assert found.vacuous == 2
    assert len(found.cases) == 2


def test_compressed_files(tmp_path: Path) -> None:
    (tmp_path / "p.vnnlib.gz").write_bytes(gzip.compress((DECLARED + BOX + "(assert (<= Y_0 0))").encode()))
    assert len(load_property(tmp_path / "p.vnnlib.gz").cases) == 1
    (tmp_path / "q.vnnlib.gz").write_bytes(b"no archive")
    with pytest.raises(DataError, match="cannot be read"):
        load_property(tmp_path / "q.vnnlib.gz")


@pytest.mark.parametrize("box", ["(assert (>= X_0 1.5))", "(assert (or (>= X_0 2) (<= X_1 0)))"])
def test_empty_boxes_are_refused(box: str, property_of) -> None:
    with pytest.raises(EmptySetError, match="X_"):
        property_of(DECLARED + BOX + box + "(assert (<= Y_0 0))")


@pytest.mark.parametrize(
    "formula",
    [
        "false",
        "(or)",
        "(not true)",
        "(< Y_0 Y_0)",
        "(> 0 1)",
        "(distinct Y_0 Y_0)",
        "(or (< Y_0 Y_0) (and (> X_0 2) (> Y_0 0)))",
    ],
)
def test_what_no_outputs_meet_is_a_case_that_is_never_violated(formula: str, property_of) -> None:
    """The inputs are possible, so that the answer is unsat rather than an error about them."""
    (case,) = property_of(DECLARED + BOX + f"(assert {formula})").cases
    assert (case.lower <= case.upper).all()
    (never,) = case.conjunctions
    assert not any(never.holds(values) for values in ([0.0, 0.0], [-1e30, 1e30]))
    with pytest.raises(EmptySetError, match="X_0"):
        property_of(DECLARED + BOX + f"(assert (> X_0 2)) (assert {formula})")


def test_what_no_outputs_meet_is_left_out_beside_other_cases(property_of) -> None:
    found = property_of(DECLARED + BOX + "(assert (or (< Y_0 Y_0) (<= Y_0 0)))")
    assert len(found.cases) == 1 and found.vacuous == 1


STRICT = [
    ("(> X_0 1)", "X_0 would have to be more than 1 and at most 1"),
    ("(and (> X_0 0.1) (<= X_0 0.1))", "more than 0.1 and at most 0.1"),
    ("(and (< X_0 0.5) (> X_0 0.5))", "more than 0.5 and less than 0.5"),
    ("(< (* -3 X_0) -3)", "more than 1"),
    ("(> (+ X_0 X_1) 2)", "between inputs"),
    ("(< (- X_0 X_1) -1)", "between inputs"),
]


@pytest.mark.parametrize(("formula", "reason"), STRICT)
def test_strict_constraints_that_only_the_edge_would_meet_leave_nothing(formula: str, reason: str, property_of) -> None:
    box = "".join(f"(assert (>= X_{place} 0)) (assert (<= X_{place} 1))" for place in range(2))
    with pytest.raises(EmptySetError, match=reason):
        property_of(DECLARED + box + f"(assert {formula}) (assert (<= Y_0 0))")
    found = property_of(DECLARED + box + f"(assert (or {formula} (<= X_0 0.25))) (assert (<= Y_0 0))")
    assert len(found.cases) == 1 and found.vacuous == 1


@pytest.mark.parametrize(
    "formula",
    [
        "(>= X_0 1)",
        "(> X_0 0.99999999999999999999)",  # float64 rounds it to 1, and still 1 is above it
        "(>= (+ X_0 X_1) 2)",
        "(> (+ X_0 X_1) 1.99999999999999999999)",
        "(> (+ (* 0.1 X_0) (* 0.2 X_1)) 0.29999999999999999999)",
    ],
)
def test_constraints_that_the_edge_meets_keep_their_case(formula: str, property_of) -> None:
    box = "".join(f"(assert (>= X_{place} 0)) (assert (<= X_{place} 1))" for place in range(2))
    (case,) = property_of(DECLARED + box + f"(assert {formula}) (assert (<= Y_0 0))").cases
    assert case.upper.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (DECLARED + BOX + f"(assert (<= (* {'Y_0 ' * 9}) 0))", "9 variables"),
        (DECLARED + "(assert (<= X_0 1)) (assert (<= Y_0 0))", "X_0 has no finite"),
        (DECLARED + BOX + "(assert (or (<= Y_0 0) (>= Y_2 0)))", "Y_2"),
        (DECLARED + BOX + "(assert (not (<= Y_0 0) (<= Y_1 0)))", "not understood"),
        (DECLARED + BOX + "(assert (not Y_0))", "not understood"),
        (DECLARED + BOX + "(assert (=> (<= Y_0 0)))", "not understood"),
        (DECLARED + BOX + "(assert (<= Y_0))", "not understood"),
        (DECLARED + BOX + "(assert (!= Y_0 Y_1 0))", "not understood"),
        (DECLARED + BOX + "(assert (<= Y_0 (<= Y_1 0)))", "not understood"),
        (DECLARED + BOX + "(assert Y_0)", "assert one formula"),
        (DECLARED + BOX + "(assert (<= Y_0 0) (<= Y_1 0))", "assert one formula"),
        (DECLARED + BOX + "(assert (let ((a 1) (a 2)) (<= Y_0 a)))", "not understood"),
        (DECLARED + BOX + "(assert (let ((1 2)) (<= Y_0 1)))", "not understood"),
        (DECLARED + BOX + "(assert (let (a 1) (<= Y_0 a)))", "not understood"),
        (DECLARED + BOX + "(assert (let ((a 1)) (<= Y_0 a) (<= Y_0 a)))", "not understood"),
        (DECLARED + BOX + "(assert (and (let ((a 1)) (<= Y_0 a)) (<= Y_1 a)))", "'a' is neither"),
        (DECLARED + BOX + "(assert (let ((a 1) (b (+ a 1))) (<= Y_0 b)))", "'a' is neither"),
        (DECLARED + BOX + "(assert (<= Y_0 NaN))", "NaN"),
        (DECLARED + BOX + "(assert (<= Y_0 1e999))", "too large"),
        (DECLARED + BOX + "(assert (<= Y_0 1e99999))", "1e99999"),
        (DECLARED + BOX + "(assert (<= Y_0 (/ 1 0)))", "divide"),
        (DECLARED + BOX + "(assert (<= Y_0 0)", "truncated"),
        (DECLARED + BOX + "(assert (<= Y_0 0))))", "never opened"),
        (DECLARED + "(declare-const X_3 Real)", "without gaps"),
        (DECLARED + "(declare-const Y_1 Real)", "once each"),
        (DECLARED + "(declare-const Z_0 Real)", "Z_0"),
        (DECLARED + "(declare-const X_2 Int)", "X_2"),
        ("(declare-const X_0 Real)", "outputs"),
        ("hello", "hello"),
        ("", "inputs"),
        ("(" * 5000, "nested"),
        (HEAD + BOX2 + "(assert (<= Y[2] 0.0))", r"Y\[2\]|shape"),
        (HEAD + BOX2 + "(assert (<= Y[0] 0))", "line"),
        (HEAD + "(assert (<= Y[0] 0.0))", "no finite"),
        (HEAD.replace("float32", "int32"), "valid|I32"),
    ],
)
def test_refusals(text: str, reason: str, property_of) -> None:
    with pytest.raises(DataError, match=reason):
        property_of(text)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no file"):
        load_property(tmp_path / "none.vnnlib")
    (tmp_path / "binary.vnnlib").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="not text"):
        load_property(tmp_path / "binary.vnnlib")
    with pytest.raises(DataError, match="cannot be read"):
        load_property(tmp_path)


def test_too_many_combinations_are_refused(property_of) -> None:
    with pytest.raises(DataError, match="more than"):
        property_of(DECLARED + BOX + "(assert (or (<= Y_0 0) (<= Y_1 0)))" * 20)
