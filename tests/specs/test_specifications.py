"""Specifications: the margin is positive exactly where the property holds, and vacuous properties are refused."""

from __future__ import annotations

import json
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from autodual.errors import InvalidInputError
from autodual.specs import (
    AvoidedClass,
    ClassMargin,
    Deviation,
    HalfSpaces,
    OutputBox,
    Specification,
    TopK,
    parse_specification,
)

# Small whole numbers make arithmetic exact, and ties, the hard case, common.
small = st.integers(-3, 3)


def whole(*shape: int) -> st.SearchStrategy[Tensor]:
    size = math.prod(shape)
    return st.lists(small, min_size=size, max_size=size).map(
        lambda values: torch.tensor(values, dtype=torch.float64).reshape(shape)
    )


def margins(specification: Specification, outputs: Tensor, nominal: Tensor | None = None) -> Tensor:
    rows = specification.rows(outputs if nominal is None else nominal)
    return specification.margin(rows.values(outputs))


@settings(max_examples=60)
@given(whole(4, 5), st.lists(st.integers(0, 4), min_size=4, max_size=4), st.integers(1, 4))
def test_classes_by_brute_force(outputs, labels, k):
    labels = torch.tensor(labels)
    reached_by = [sum(int(f[j] >= f[y]) for j in range(5) if j != y) for f, y in zip(outputs, labels, strict=True)]
    assert (margins(TopK(labels, k), outputs) > 0).tolist() == [others < k for others in reached_by]
    assert (margins(ClassMargin(labels), outputs) > 0).tolist() == [others == 0 for others in reached_by]


@settings(max_examples=60)
@given(whole(4, 5), st.integers(0, 4))
def test_avoided_classes_by_brute_force(outputs, target):
    others = [max(value for j, value in enumerate(f) if j != target) for f in outputs.tolist()]
    wanted = [other - f[target] for other, f in zip(others, outputs.tolist(), strict=True)]
    assert margins(AvoidedClass(target), outputs).tolist() == wanted
    assert margins(parse_specification(f"not-class:{target}"), outputs).tolist() == wanted


@pytest.mark.parametrize(("target", "outputs"), [(3, (2, 3)), (0, (2, 3, 4)), (0, (2, 1)), (-1, (2, 3)), (1.0, (2, 3))])
def test_classes_that_cannot_be_avoided_are_refused(target, outputs):
    with pytest.raises(InvalidInputError):
        AvoidedClass(target).rows(torch.zeros(outputs))


@settings(max_examples=60)
@given(whole(4, 3), whole(4, 3), whole(3))
def test_boxes_and_deviations_by_brute_force(outputs, nominal, lower):
    inside = ((outputs > lower) & (outputs < lower + 3)).all(1)
    assert torch.equal(margins(OutputBox(lower, lower + 3), outputs) > 0, inside)
    near = ((outputs - nominal).abs() < 2).all(1)
    assert torch.equal(margins(Deviation(2), outputs, nominal) > 0, near)


@settings(max_examples=60)
@given(st.data())
def test_half_spaces_by_brute_force(data):
    count = data.draw(st.integers(1, 4))
    row = st.lists(small, min_size=3, max_size=3).filter(any)
    matrix = data.draw(st.lists(row, min_size=count, max_size=count))
    offset = data.draw(st.lists(small, min_size=count, max_size=count))
    extra = data.draw(st.lists(st.lists(st.integers(0, count - 1), min_size=1, max_size=3), max_size=3))
    clauses = [*extra, tuple(range(count))]
    outputs = data.draw(whole(6, 3))
    holds = [[sum(m * f for m, f in zip(r, fs, strict=True)) > o for r, o in zip(matrix, offset, strict=True)]
             for fs in outputs.tolist()]  # fmt: skip
    expected = [all(any(h[s] for s in clause) for clause in clauses) for h in holds]
    assert (margins(HalfSpaces(matrix, offset, clauses), outputs) > 0).tolist() == expected


SPECIFICATIONS = {
    "class": ClassMargin(torch.tensor([0, 2])),
    "top-k": TopK(torch.tensor([0, 2]), 2),
    "avoided class": AvoidedClass(1),
    "box": OutputBox(-1, torch.tensor([[1.0, 2.0, math.inf], [1.0, 2.0, math.inf]])),
    "deviation": Deviation([0.1, 0.2, 0.3]),
    "half-spaces": HalfSpaces([[1, 0, 0], [0, 1, 0], [0, 0, 1]], [0, 0, 0], [[0, 1], [2]]),
    "half-spaces-per-sample": HalfSpaces(torch.ones(2, 4, 3), torch.ones(2, 4)),
}


@pytest.mark.parametrize("specification", SPECIFICATIONS.values(), ids=SPECIFICATIONS.keys())
class TestEverySpecification:
    outputs = torch.tensor([[3.0, 2.0, 1.0], [0.5, 1.0, 2.0]])

    def test_rows_follow_the_outputs_dtype(self, specification):
        for dtype in (torch.float32, torch.float64):
            rows = specification.rows(self.outputs.to(dtype))
            assert rows.objective.dtype == rows.offset.dtype == dtype
            assert rows.objective.shape[-2:] == (rows.offset.shape[-1], 3)

    @pytest.mark.parametrize("bad", [math.nan, math.inf])
    def test_bounds_of_nan_or_infinity_prove_nothing(self, specification, bad):
        values = torch.ones_like(specification.rows(self.outputs).values(self.outputs))
        assert (specification.margin(values) > 0).all()
        for entry in range(values.shape[1]):
            broken = values.clone()
            broken[0, entry] = bad
            found = specification.margin(broken)
            assert found[0].isnan()
            assert found[1] > 0

    def test_bounds_of_minus_infinity_give_a_margin_of_minus_infinity(self, specification):
        values = torch.full_like(specification.rows(self.outputs).values(self.outputs), -math.inf)
        assert specification.margin(values).tolist() == [-math.inf] * 2

    def test_margin_takes_leading_axes_and_has_gradients(self, specification):
        rows = specification.rows(self.outputs)
        outputs = torch.randn(4, 2, 3).requires_grad_()
        margin = specification.margin(rows.values(outputs))
        assert margin.shape == (4, 2)
        margin.sum().backward()
        assert outputs.grad.isfinite().all()
        assert (outputs.grad != 0).any(-1).all()

    def test_margin_of_outputs_equals_the_margin_of_their_rows(self, specification):
        rows, generator = specification.rows(self.outputs), torch.Generator().manual_seed(0)
        outputs = torch.randint(-2, 3, (400, 2, 3), generator=generator).float()
        outputs[::2].masked_fill_(torch.rand(200, 2, 3, generator=generator) < 0.2, math.inf)
        outputs[1::3].masked_fill_(torch.rand(133, 2, 3, generator=generator) < 0.2, -math.inf)
        outputs[::5].masked_fill_(torch.rand(80, 2, 3, generator=generator) < 0.1, math.nan)
        expected, found = specification.margin(rows.values(outputs)), specification.margin_of(rows, outputs)
        torch.testing.assert_close(found, expected, equal_nan=True)

    def test_selection_is_that_of_the_margins(self, specification):
        index = torch.tensor([1])
        outputs = self.outputs + 0.3
        expected = specification.margin(specification.rows(self.outputs).values(outputs))[index]
        part = specification.select(index)
        torch.testing.assert_close(part.margin(part.rows(self.outputs[index]).values(outputs[index])), expected)

    def test_words_and_settings(self, specification):
        assert len(specification.describe()) > 10
        assert json.loads(json.dumps(specification.settings()))["specification"]

    @pytest.mark.parametrize("outputs", [torch.zeros(()), torch.zeros(2, 0), torch.zeros(2, 3, dtype=torch.int64)])
    def test_outputs_are_checked(self, specification, outputs):
        with pytest.raises(InvalidInputError, match=r"needs floating-point outputs \[N, \*shape\]"):
            specification.rows(outputs)


@settings(max_examples=40)
@given(st.integers(0, 2**16), st.booleans(), st.integers(1, 3))
def test_margin_of_outputs_handles_label_maps_and_ties(seed, last, k):
    """Ignored positions do not count, whatever their outputs; at a tie the gradient goes to a single class."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(-1, 4, (3, 2), generator=generator)
    labels[labels < 0] = -100
    shape = (3, 2, 4) if last else (3, 4, 2)
    outputs = torch.randint(-1, 2, (5, *shape), generator=generator).double()
    for specification in (ClassMargin(labels, -1 if last else 1), TopK(labels, k, -1 if last else 1)):
        rows, flattened = specification.rows(outputs[0]), outputs.flatten(2)
        flattened[0].masked_fill_(torch.rand(3, 8, generator=generator) < 0.1, math.nan)
        flattened.requires_grad_()
        expected = specification.margin(rows.values(flattened))
        found = specification.margin_of(rows, flattened)
        torch.testing.assert_close(found, expected, equal_nan=True)
        (gradient,) = torch.autograd.grad(found.nansum(), flattened)
        assert torch.equal(gradient.abs().sum(-1), torch.where(found.isnan(), 0, 2.0))
        assert set(gradient.unique().tolist()) <= {-1.0, 0.0, 1.0}


def test_class_rows_are_in_class_order_with_a_zero_row_for_the_label():
    rows = ClassMargin([1]).rows(torch.zeros(1, 3))
    assert rows.objective.tolist() == [[[-1, 1, 0], [0, 0, 0], [0, 1, -1]]]
    assert rows.offset.tolist() == [[0, 0, 0]]
    assert ClassMargin([1]).margin(torch.tensor([[2.0, 0.0, 3.0]])).tolist() == [2]


def test_margin_ignores_the_labels_own_entry_whatever_bound_it_has():
    assert ClassMargin([1]).margin(torch.tensor([[2.0, -1e-6, 3.0]])).tolist() == [2]
    assert TopK([1], 1).margin(torch.tensor([[2.0, -1e-6, 3.0]])).tolist() == [2]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0.5], "labels must be integers, but have the dtype torch.float32"),
        ([True], "labels must be integers, but have the dtype torch.bool"),
        (1, r"labels must have the shape \[N\]"),
        ("first", "labels must be integers, one per sample, not str"),
        (["0", "1"], "labels must be integers, one per sample, not list of str"),
        (object(), "labels must be integers, one per sample, not object"),
    ],
)
def test_labels_are_checked(labels, message):
    for make in (ClassMargin, lambda labels: TopK(labels, 1)):
        with pytest.raises(InvalidInputError, match=message):
            make(labels)


@pytest.mark.parametrize(("labels", "message"), [
    ([0, 3], "the label of sample 1 is 3, but the network has the classes 0 to 2"),
    ([-1, 0], "the label of sample 0 is -1"),
    ([0], "there are 1 labels for 2 samples"),
    ([[0], [0]], r"the labels have the shape \[2, 1\], but outputs \[2, 3\] with their classes on axis 1 need \[2\]"),
])  # fmt: skip
def test_labels_must_fit_the_outputs(labels, message):
    with pytest.raises(InvalidInputError, match=message):
        ClassMargin(labels).rows(torch.zeros(2, 3))


def test_single_output_has_no_other_class():
    for specification in (ClassMargin([0]), TopK([0], 1)):
        with pytest.raises(
            InvalidInputError,
            match=r"a specification instead of labels \(spec=\): a box",
        ):
            specification.rows(torch.zeros(1, 1))


def test_vacuous_or_impossible_top_k():
    with pytest.raises(InvalidInputError, match="k of at least 1, but k is 0"):
        TopK([0], 0)
    with pytest.raises(InvalidInputError, match="any label is among the 3 largest of 3 outputs"):
        TopK([0], 3).rows(torch.zeros(1, 3))


@pytest.mark.parametrize(
    ("lower", "upper", "message"),
    [
        (-math.inf, math.inf, "unbounded and holds of anything"),
        (1, 1, "every lower end must be below"),
        (torch.tensor([[-math.inf] * 3, [0.0] * 3]), 1, "finite for all samples or for none"),
        ([0, 0], 1, r"lower has the shape \[2\], but the network has 3 outputs for 2 samples"),
    ],
)
def test_output_boxes_are_checked(lower, upper, message):
    with pytest.raises(InvalidInputError, match=message):
        OutputBox(lower, upper).rows(torch.zeros(2, 3))


def test_output_box_leaves_out_infinite_ends():
    rows = OutputBox([-math.inf, 0], 1).rows(torch.zeros(2, 2))
    assert rows.objective.tolist() == [[0, 1], [-1, 0], [0, -1]]
    assert rows.offset.tolist() == [0, -1, -1]


@pytest.mark.parametrize("delta", [0, -1, math.inf, [[1.0]]])
def test_deviation_is_positive(delta):
    with pytest.raises(InvalidInputError, match="delta must be a positive, finite number"):
        Deviation(delta)


@pytest.mark.parametrize("value", ["wide", math.nan, 1j, [[1], [1, 2]]])
def test_numbers_are_checked(value):
    with pytest.raises(InvalidInputError, match="delta must be"):
        Deviation(value)


@pytest.mark.parametrize(
    ("matrix", "offset", "clauses", "message"),
    [
        ([[1.0]], [0.0], [], "at least one clause"),
        ([[1.0]], [0.0], [[]], "every clause at least one half-space"),
        ([[1.0]], [0.0], [[1]], "numbers of half-spaces, 0 to 0"),
        ([[1.0]], [0.0], [["0"]], "numbers of half-spaces"),
        ([[1.0], [2.0]], [0.0, 0.0], [[0]], "half-space 1 is in no clause"),
        ([[1.0], [0.0]], [0.0, -1.0], None, "row 1 of the matrix is zero"),
        ([[math.inf]], [0.0], None, "must be finite"),
        ([[1.0]], [0.0, 1.0], None, r"have \[1, 1\] and \[2\]"),
        (torch.zeros(0, 2), torch.zeros(0), None, "without half-spaces holds of anything"),
    ],
)
def test_half_spaces_are_checked(matrix, offset, clauses, message):
    with pytest.raises(InvalidInputError, match=message):
        HalfSpaces(matrix, offset, clauses)


def test_half_spaces_must_fit_the_outputs():
    with pytest.raises(InvalidInputError, match="the matrix has 2 columns, but the network has 3 outputs"):
        HalfSpaces([[1, 2]], [0]).rows(torch.zeros(1, 3))
    with pytest.raises(InvalidInputError, match="given per sample, but not for 3 samples"):
        HalfSpaces(torch.ones(2, 1, 3), [0]).rows(torch.zeros(3, 3))


def test_memory_for_clauses_is_proportional_to_their_entries() -> None:
    """Padded to one length, these clauses would take 10¹⁰ numbers."""
    count = 100_000
    clauses = [tuple(range(count)), *((row,) for row in range(count, 2 * count))]
    goal = HalfSpaces(torch.ones(2 * count, 1), torch.zeros(2 * count), clauses)
    values = torch.rand(2, 2 * count, generator=torch.Generator().manual_seed(0)).requires_grad_()
    margin = goal.margin(values)
    expected = values[:, :count].max(1).values.minimum(values[:, count:].min(1).values)
    assert torch.equal(margin, expected)
    margin.sum().backward()
    assert values.grad is not None and values.grad.count_nonzero(1).tolist() == [1, 1]
    assert torch.equal(goal.select(torch.tensor([1])).margin(values[1:]), margin[1:])
