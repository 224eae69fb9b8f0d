"""Polytopes: bounds against linear programs, membership and projections against their definitions."""

from __future__ import annotations

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from torch import Tensor

import autodual
from autodual import Interval
from autodual.errors import EmptySetError, InvalidInputError
from autodual.perturbations import Polytope, WholeView
from autodual.perturbations.polytopes.multipliers import CutBoxes
from autodual.testing import check_perturbation_set

_SEEDS = st.integers(0, 2**31)


def _random(seed: int, sides: int, features: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A box and half-spaces that a point of it keeps, some of them tightly."""
    generator = torch.Generator().manual_seed(seed)

    def numbers(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    lower = numbers(features)
    upper = lower + numbers(features).abs()
    inside = lower + torch.rand(features, generator=generator, dtype=torch.float64) * (upper - lower)
    matrix = numbers(sides, features) * (torch.rand(sides, features, generator=generator) < 0.8)
    matrix[:, 0] += 0.1
    return lower, upper, matrix, matrix @ inside + 0.2 * numbers(sides).relu()


def _program(lower: Tensor, upper: Tensor, matrix: Tensor, bound: Tensor, row: Tensor) -> float:
    found = linprog(row.numpy(), matrix.numpy(), bound.numpy(), bounds=list(zip(lower.tolist(), upper.tolist())))
    assert found.status == 0
    return float(found.fun)


@settings(max_examples=25)
@given(seed=_SEEDS, features=st.integers(1, 6))
def test_one_half_space_gives_the_exact_minimum(seed: int, features: int) -> None:
    lower, upper, matrix, bound = _random(seed, 1, features)
    region = Polytope(lower, upper, matrix, bound).at(torch.zeros(1, features, dtype=torch.float64))
    rows = torch.randn(1, 3, features, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    least, greatest = region.extremes(rows, WholeView())
    for row, low, high in zip(rows[0], least[0], greatest[0]):
        assert float(low) == pytest.approx(_program(lower, upper, matrix, bound, row), abs=1e-9)
        assert float(high) == pytest.approx(-_program(lower, upper, matrix, bound, -row), abs=1e-9)


@settings(max_examples=25)
@given(seed=_SEEDS, features=st.integers(1, 6), sides=st.integers(2, 4))
def test_bounds_of_several_half_spaces_lie_below_the_minimum(seed: int, features: int, sides: int) -> None:
    lower, upper, matrix, bound = _random(seed, sides, features)
    region = Polytope(lower, upper, matrix, bound).at(torch.zeros(1, features, dtype=torch.float64))
    row = torch.randn(1, 1, features, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    least, true = float(region.extremes(row, WholeView())[0]), _program(lower, upper, matrix, bound, row[0, 0])
    plain = float((row[0, 0] * torch.where(row[0, 0] > 0, lower, upper)).sum())
    assert plain - 1e-9 <= least <= true + 1e-9
    # The first multiplier is the best one without the others, and every further step can only gain.
    assert least >= _program(lower, upper, matrix[:1], bound[:1], row[0, 0]) - 1e-9
    for axis in range(features):
        unit = torch.eye(features, dtype=torch.float64)[axis]
        assert float(region.enclosure().lower[0, axis]) <= _program(lower, upper, matrix, bound, unit) + 1e-9


@settings(max_examples=25)
@given(seed=_SEEDS, features=st.integers(1, 5), sides=st.integers(1, 3), single=st.booleans())
def test_projections_are_near_points_inside(seed: int, features: int, sides: int, single: bool) -> None:
    lower, upper, matrix, bound = _random(seed, sides, features)
    bound = bound + 0.02 * (sides > 1)  # not only the one point where several meet
    dtype = torch.float32 if single else torch.float64
    region = Polytope(lower, upper, matrix, bound).at(torch.zeros(1, features, dtype=dtype))
    generator = torch.Generator().manual_seed(seed)
    for points in (region.sample(8, generator), region.corners(8, generator)):
        assert region.contains(points).all()
        assert torch.equal(region.project(points), points)
        exact = points.double()[:, 0]
        assert ((exact @ matrix.T - bound).amax() <= 1e-4 if single else 1e-12) and (exact <= upper + 1e-6).all()
    gradient = torch.randn(1, features, generator=generator, dtype=dtype)
    best = float((gradient * region.steepest(gradient)).sum())
    assert best <= -_program(lower, upper, matrix, bound, -gradient[0].double()) + 1e-4


@pytest.mark.parametrize("sides", [1, 3])
def test_the_contract_of_sets(sides: int) -> None:
    lower, upper, matrix, bound = _random(5, sides, 4)
    check_perturbation_set(Polytope(lower, upper, matrix, bound + 0.1), torch.zeros(3, 4), exact=False)


def test_half_spaces_of_each_sample_and_of_images() -> None:
    x = torch.zeros(2, 1, 2, 2)
    matrix = torch.ones(2, 1, 1, 2, 2)
    region = Polytope(0.0, 1.0, matrix, [[1.0], [2.0]]).at(x)
    rows = torch.full((2, 1, 1, 2, 2), -1.0)
    assert torch.allclose(region.extremes(rows, WholeView())[0], torch.tensor([[-1.0], [-2.0]]), atol=1e-4)
    assert torch.allclose(region.select(torch.tensor([1])).to(torch.float64).bound, torch.tensor([[2.0]]).double())


def test_an_equation_between_inputs() -> None:
    """Only points with x0 = x1 + x2: membership allows for rounding, so that such points are found."""
    matrix = torch.tensor([[1.0, -1.0, -1.0], [-1.0, 1.0, 1.0]])
    region = Polytope(-1.0, 1.0, matrix, [0.0, 0.0]).at(torch.zeros(1, 3))
    points = region.sample(50, torch.Generator().manual_seed(0))
    assert region.contains(points).all()
    assert float((points[..., 0] - points[..., 1] - points[..., 2]).abs().max()) < 1e-5
    assert float((points[..., 0]).std()) > 0.1
    least, _ = region.extremes(torch.tensor([[[1.0, -1.0, -1.0]]]), WholeView())
    assert -1e-4 < float(least) <= 0


@settings(max_examples=25)
@given(seed=_SEEDS, features=st.integers(1, 4), gap=st.sampled_from([-0.1, 1e-4, 0.5]))
def test_only_empty_sets_are_refused(seed: int, features: int, gap: float) -> None:
    """Two opposite half-spaces a gap apart: nothing lies between them where the gap is positive."""
    lower, upper, matrix, bound = _random(seed, 1, features)
    sides, bounds = torch.cat([matrix, -matrix]), torch.cat([bound, -bound - gap])
    region, x = Polytope(lower, upper, sides, bounds), torch.zeros(1, features, dtype=torch.float64)
    feasible = (
        linprog(numpy.zeros(features), sides, bounds, bounds=list(zip(lower.tolist(), upper.tolist()))).status == 0
    )
    if feasible:
        region.at(x)
    else:
        with pytest.raises(EmptySetError):
            region.at(x)


@settings(max_examples=25)
@given(seed=_SEEDS, features=st.integers(1, 5), share=st.floats(0, 1))
def test_the_part_of_a_polytope_in_a_box(seed: int, features: int, share: float) -> None:
    """As a program over both; where nothing is left of it, bounds cross."""
    lower, upper, matrix, bound = _random(seed, 1, features)
    region = Polytope(lower, upper, matrix, bound).at(torch.zeros(1, features, dtype=torch.float64))
    part = upper.clone()
    part[0] = lower[0] + share * (upper[0] - lower[0])
    row = torch.randn(1, 1, features, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    box = Interval(lower.reshape(1, 1, -1), part.reshape(1, 1, -1))
    least, greatest = region.extremes_within(row, WholeView(), box)
    ends = list(zip(lower.tolist(), part.tolist()))
    found = linprog(row[0, 0].numpy(), matrix.numpy(), bound.numpy(), bounds=ends)
    if found.status == 0:
        assert float(least) == pytest.approx(float(found.fun), abs=1e-9)
    elif float((matrix[0] * torch.where(matrix[0] > 0, lower, part)).sum() - bound) > 1e-3:
        assert float(least) > float(greatest)


def test_certificates_over_a_polytope() -> None:
    """relu(x0) + relu(-x1) over x0 ≤ x1 - 1 in a box: x0 > 0 and x1 < 0 exclude each other."""
    dual = autodual.compile_dual(torch.nn.ReLU(), torch.zeros(1, 2))
    ball = Polytope(-1.0, 1.0, [[1.0, -1.0]], [-1.0])
    x = torch.zeros(1, 2)
    box = dual.lower_bounds(x, autodual.Box(-1.0, 1.0), torch.tensor([[-1.0, 0.0]]), slopes="adaptive")
    cut = dual.lower_bounds(x, ball, torch.tensor([[-1.0, 0.0]]), slopes="adaptive")
    assert float(box) == -1.0
    assert float(cut) == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize(
    ("matrix", "bound", "message"),
    [
        ([[1.0, 1.0]], [1.0, 2.0], "one bound for each"),
        ([[1.0, 1.0, 1.0]], [1.0], r"matrix \[J, \*shape\]"),
        ([[torch.inf, 1.0]], [1.0], "must be finite"),
    ],
)
def test_refusals(matrix: list, bound: list, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        Polytope(-1.0, 1.0, matrix, bound).at(torch.zeros(1, 2))


def test_coefficients_that_the_dtype_loses_empty_no_set() -> None:
    """float32 keeps nothing of 1e-46, which times 1e30 counts."""
    upper = torch.tensor([1e30, 0.0], dtype=torch.float64)
    matrix = torch.tensor([[-1e-46, 1e-17]], dtype=torch.float64)
    region = Polytope([0.0, -1.0], upper, matrix, torch.tensor([-5e-17], dtype=torch.float64)).at(torch.zeros(1, 2))
    assert region.enclosure().upper[0].tolist() == pytest.approx([1e30, 0.0])


def test_boxes_of_their_own_behind_half_spaces_of_all() -> None:
    half = torch.tensor([[1.0, 1.0], [2.0, 2.0]]).double()
    row, zero = torch.ones(1, 1, 2).double(), torch.zeros(2, 2).double()
    found = CutBoxes(zero, half, row, -row[..., 0]).least(torch.tensor([[[0.0, -1.0]]]).double())
    assert found[:, 0].tolist() == pytest.approx([0.0, -1.0])
