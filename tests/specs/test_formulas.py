"""Formulas, and the other texts for specifications on the command line."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autodual.errors import InvalidInputError
from autodual.specs import ClassMargin, Deviation, Formula, HalfSpaces, OutputBox, TopK, parse_specification

# Output y4 is an integer plus 1/64, which is off the grid of values of the other terms, so no comparison is a tie.
_FINE = 1 / 64


def linear_terms() -> st.SearchStrategy[str]:
    leaves = st.one_of(st.integers(0, 3).map("y{}".format), st.integers(0, 4).map(str))
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from("+-"), inner).map(lambda parts: f"({' '.join(parts)})"),
            st.tuples(st.sampled_from(["2", "-1", "0.5"]), inner).map(lambda parts: f"{parts[0]} * {parts[1]}"),
            inner.map("-{}".format),
            inner.map("({}) / 2".format),
        ),
        max_leaves=4,
    )


def comparisons() -> st.SearchStrategy[str]:
    operators = st.sampled_from(["<", "<=", ">", ">="])
    # y4 appears exactly once in each comparison, so it cannot cancel.
    return st.tuples(linear_terms(), operators, linear_terms()).map(lambda parts: "y4 + " + " ".join(parts))


def formulas() -> st.SearchStrategy[str]:
    return st.recursive(
        comparisons(),
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda parts: f"({' '.join(parts)})"),
            inner.map("not ({})".format),
        ),
        max_leaves=4,
    )


@settings(max_examples=150)
@given(formulas(), st.lists(st.integers(-4, 4), min_size=5, max_size=5))
def test_margin_is_positive_exactly_where_python_says_the_formula_holds(text, values):
    values[4] += _FINE
    outputs = torch.tensor([values], dtype=torch.float64)
    formula = Formula(text)
    margin = formula.margin(formula.rows(outputs).values(outputs))
    assert bool(margin > 0) == eval(text, {f"y{i}": value for i, value in enumerate(values)})


@pytest.mark.parametrize("text", ["y0 >= y1", "not y0 > y1", "not y0 < y1", "y0 <= y1 <= 1"])
def test_a_tie_satisfies_nonstrict_comparisons(text):
    formula = Formula(text)
    outputs = torch.ones(1, 2, dtype=torch.float64)
    assert formula.margin(formula.rows(outputs).values(outputs)) > 0


@given(st.lists(st.decimals(-9, 9, places=3), min_size=3, max_size=3), st.decimals(-9, 9, places=3))
def test_decimals_are_combined_exactly(parts, constant):
    """Terms of one output are added as fractions, and the sum is rounded once."""
    fractions = [Fraction(str(part)) for part in (*parts, constant)]
    text = " + ".join(f"{part:f} * y0" for part in parts) + f" + y1 > {constant:f}"
    (atom,) = Formula(text).atoms
    total = sum(fractions[:3])
    expected = ((0, float(total)), (1, 1.0)) if total else ((1, 1.0),)
    assert atom.coefficients == expected and atom.offset == float(fractions[3])


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("y1 > 0 or 0.1*y0 + 0.2*y0 > 0.3*y0", ((0,),)),
        ("y1 > 0 and 0.1*y0 + 0.2*y0 >= 0.3*y0", ((0,),)),
        ("y1 > 0 and not 0.1*y0 + 0.2*y0 > 0.3*y0", ((0,),)),
    ],
)
def test_a_row_that_cancels_is_decided_exactly(text, clauses):
    formula = Formula(text)
    assert formula.clauses == clauses and [atom.coefficients for atom in formula.atoms] == [((1, 1.0),)]


@pytest.mark.parametrize(
    ("text", "holds", "fails"),
    [
        ("y0 > y1", [2, 1], [1, 1]),
        ("y0 >= y1", [1, 1], [1, 2]),
        ("not y0 > y1", [1, 1], [2, 1]),
        ("0 < y0 <= y1 < 2", [0.5, 1], [0.5, 2]),
        ("not 0 < y0 < 1", [2, 0], [0.5, 0]),
        ("y0 > y1 and (y1 < 0.5 or\n 2*y0 - y1 >= 2)", [2, 1], [1.4, 1]),
        ("-(y0 - 3)/2 > +1", [0.5, 0], [1, 0]),
        ("y0 + y1 - y0 > 1", [0, 2], [2, 1]),
    ],
)
def test_formulas_by_hand(text, holds, fails):
    formula = Formula(text)
    outputs = torch.tensor([holds, fails], dtype=torch.float64)
    assert (formula.margin(formula.rows(outputs).values(outputs)) > 0).tolist() == [True, False]


@pytest.mark.parametrize(
    ("text", "column", "reason"),
    [
        ("y0", 1, "expected a comparison"),
        ("y0 > 1 and y1", 12, "expected a comparison"),
        ("y0 * y1 > 0", 1, "are linear"),
        ("1 / y0 > 0", 1, "are linear"),
        ("y0 / 0 > 0", 1, "are linear"),
        ("y0 ** 2 > 0", 1, "are linear"),
        ("y0 == 1", 7, "compared by <, <=, > and >= only"),
        ("y0 > abs(y1)", 6, "expected outputs y0, y1"),
        ("x0 > 1", 1, "expected outputs y0, y1"),
        ("y01 > 1", 1, "expected outputs y0, y1"),
        ("y0 > True", 6, "expected outputs y0, y1"),
        ("y0 > 'a'", 6, "expected outputs y0, y1"),
        ("y1 > 0 or 2 > 1", 11, "says nothing about an output"),
        ("y0 - y0 > -1", 1, "says nothing about an output"),
        ("y0 > 1e999", 6, "is too large"),
        ("y0 > 1e-999999999", 6, "is too small"),
        ("1e-200*1e-200*y0 > 0", 1, "is too small"),
        ("0.1*y0 + 0.2*y0 - 0.3*y0 > 0", 1, "it is false of any outputs"),
        ("y1 > 0 or 0.3*y0 >= 0.1*y0 + 0.2*y0", 1, "it holds of any outputs"),
        (f"y0 > 1{'0' * 400}", 6, "too large"),
        ("(lambda: y0)() > 1", 1, "expected outputs y0, y1"),
    ],
)
def test_texts_that_are_no_formulas_are_refused_with_the_column(text, column, reason):
    with pytest.raises(InvalidInputError, match=rf"cannot read the formula .* at column {column}: .*{reason}"):
        Formula(text)


@pytest.mark.parametrize("text", ["y0 >", "y0 > (y1", "y0 > 1; y1 > 2", "y0 = 1 > 0"])
def test_syntax_errors_have_a_column(text):
    with pytest.raises(InvalidInputError, match=r"cannot read the formula .* at column [1-9][0-9]*: "):
        Formula(text)


def test_hostile_formulas_are_refused():
    with pytest.raises(InvalidInputError, match="unfolds into more than 10000 clauses"):
        Formula(" or ".join(f"(y{i} > 0 and y{i + 1} > 1)" for i in range(0, 60, 2)))
    for text in ("(" * 5000 + "y0" + ")" * 5000 + " > 0", "not " * 50000 + "y0 > 0", "y0 > \x00"):
        with pytest.raises(InvalidInputError, match="cannot read the formula"):
            Formula(text)


def test_formula_must_fit_the_outputs():
    with pytest.raises(InvalidInputError, match="speaks of y7, but the network has the outputs y0 to y2"):
        Formula("y0 > y7").rows(torch.zeros(1, 3))


def test_equal_atoms_are_one_row():
    formula = Formula("y0 > y1 and (y0 > y1 or y2 > 0) and not y1 >= y0")
    assert len(formula.atoms) == 2
    assert formula.rows(torch.zeros(1, 4)).objective.tolist() == [[1, -1, 0, 0], [0, 0, 1, 0]]


def test_formula_describes_itself():
    assert Formula(" y0 > 1 ").describe() == "y0 > 1"
    assert Formula("y0 > 1").settings() == {"specification": "formula", "text": "y0 > 1"}


def test_texts_of_each_kind(tmp_path):
    labels = torch.tensor([1, 2])
    assert isinstance(parse_specification("class", labels), ClassMargin)
    top = parse_specification("top-k:3", labels)
    assert isinstance(top, TopK)
    assert top.k == 3
    deviation = parse_specification("deviation:0.1")
    assert isinstance(deviation, Deviation)
    assert float(deviation.delta) == 0.1
    assert isinstance(parse_specification("box:-1,inf"), OutputBox)
    assert isinstance(parse_specification("y0 > y1"), Formula)
    for name, values in (("lower", [0.0, 1.0]), ("upper", [2.0, 3.0])):
        numpy.save(tmp_path / f"{name}.npy", numpy.array(values))
    box = parse_specification(f"box:{tmp_path}/lower.npy, {tmp_path}/upper.npy")
    assert isinstance(box, OutputBox)
    assert box.upper.tolist() == [2, 3]


def test_half_spaces_from_a_file(tmp_path):
    path = tmp_path / "spec.json"
    path.write_text(json.dumps({"matrix": [[1, -1], [0, 1]], "offset": [0, 0.5], "clauses": [[0, 1]]}))
    found = parse_specification(str(path))
    assert isinstance(found, HalfSpaces)
    assert found.clauses == ((0, 1),)
    assert found.offset.tolist() == [0, 0.5]
    path.write_text(json.dumps({"matrix": [[1, -1], [0, 1]], "offset": [0, 0.5]}))
    assert parse_specification(str(path)).settings()["clauses"] == [[0], [1]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot read a specification from"),
        ("[]", "must hold an object with the keys matrix, offset"),
        ('{"matrix": [[1]]}', "must hold an object with the keys matrix, offset"),
        ('{"matrix": [[1]], "offset": [0], "clause": []}', "must hold an object with the keys matrix, offset"),
        ('{"matrix": [[1]], "offset": [0], "clauses": [0]}', "must be lists of row numbers"),
        ('{"matrix": [[1], [1, 2]], "offset": [0]}', "the matrix must be a number or a regular array"),
    ],
)
def test_bad_files_are_refused(tmp_path, content, message):
    path = tmp_path / "spec.json"
    path.write_text(content)
    with pytest.raises(InvalidInputError, match=message):
        parse_specification(str(path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("class", "'class' needs labels"),
        ("top-k:3", "'top-k' needs labels"),
        ("top-k:x", "needs a whole number, as in 'top-k:3'"),
        ("top-k", "needs a whole number"),
        ("deviation:far", "'far' is neither a number nor a readable .npy file"),
        ("box:1", "needs two ends"),
        ("box:nowhere.npy,1", "'nowhere.npy' is neither a number nor a readable .npy file"),
        ("nowhere.json", "cannot read a specification from 'nowhere.json': No such file"),
        ("y0 => y1", "'at least' is written >="),
        ("robust", "'robust' is not a specification; write 'class', 'top-k:3'"),
    ],
)
def test_texts_that_are_refused(text, message):
    with pytest.raises(InvalidInputError, match=message):
        parse_specification(text)
