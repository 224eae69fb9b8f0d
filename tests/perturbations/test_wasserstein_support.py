"""Bounds over Wasserstein balls against linear programs over transport plans."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy
import pytest
import torch
from support.transport_programs import Plans

from autodual.dual.rows import Rows, Window
from autodual.errors import InvalidInputError
from autodual.perturbations import WassersteinBall, WholeView
from autodual.testing import check_perturbation_set

VIEW = WholeView()
SHAPES = {"wide": (1, 4, 5), "channels": (2, 3, 4), "no channels": (5, 4), "column": (1, 6, 1), "pixel": (1, 1, 1)}


def images(shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    """Some dense, some with black pixels, one black."""
    x = torch.rand(4, *shape, dtype=torch.float64, generator=generator)
    x[1:3] *= torch.rand(2, *shape, dtype=torch.float64, generator=generator) < 0.4
    x[3] = 0
    return x


BUDGETS = torch.tensor([0.0, 0.03, 0.7, 20.0], dtype=torch.float64)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize(("window", "power"), [(1, 1.0), (3, 1.0), (5, 2.0), (7, 0.5), (11, 1.0)])
def test_extremes_and_steepest_points_are_those_of_the_linear_program(shape, window, power, generator):
    plans, x = Plans.over(shape, window, power), images(shape, generator)
    rows = torch.randn(4, 2, *shape, dtype=torch.float64, generator=generator)
    rows[:, 1] = rows[:, 1].round()  # many ties
    for shift in range(4):
        eps = BUDGETS.roll(shift)
        region = WassersteinBall(eps, window, power).at(x)
        lower, upper = region.extremes(rows, VIEW)
        points = region.steepest(rows.transpose(0, 1))
        values = torch.einsum("knf,nkf->nk", points.flatten(2), rows.flatten(2))
        torch.testing.assert_close(values, upper, rtol=1e-9, atol=1e-9)
        for sample in range(3):
            row = (sample + shift) % 2
            budget, image, cost = float(eps[sample] * x[sample].sum()), x[sample].numpy(), rows[sample, row].numpy()
            assert float(upper[sample, row]) == pytest.approx(plans.greatest(cost, image, budget), abs=1e-9)
            assert float(lower[sample, row]) == pytest.approx(-plans.greatest(-cost, image, budget), abs=1e-9)
        assert not upper[3].any()
        assert not lower[3].any()


@pytest.mark.parametrize("power", [5e-324, 1e-17])
def test_distances_whose_powers_round_to_one_number_cost_the_same(power, generator):
    x, rows = torch.rand(2, 1, 1, 3, 3, dtype=torch.float64, generator=generator).unbind(0)
    upper = WassersteinBall(0.1, 5, power).at(x).extremes(rows[None], VIEW)[1]
    every = Plans.over((1, 3, 3), 5, 1e-12)
    assert float(upper) == pytest.approx(every.greatest(rows[0].numpy(), x[0].numpy(), 0.1 * float(x.sum())), abs=1e-9)


@pytest.mark.parametrize("window", [3, 5, 7])
def test_intervals_of_pixels_are_those_of_the_linear_program(window, generator):
    x, plans = images((2, 3, 3), generator), Plans.over((2, 3, 3), window)
    box = WassersteinBall(BUDGETS, window).at(x).enclosure()
    for sample, budget in enumerate((BUDGETS * x.flatten(1).sum(1)).tolist()):
        for pixel in range(sample % 2, 18, 2):
            unit = numpy.zeros(18)
            unit[pixel] = 1
            ends = [sign * plans.greatest(sign * unit, x[sample].numpy(), budget) for sign in (-1, 1)]
            found = [float(end[sample].flatten()[pixel]) for end in (box.lower, box.upper)]
            assert found == pytest.approx(ends, abs=1e-9)


@pytest.mark.parametrize("window", [1, 3, 5])
def test_gradients_are_those_of_finite_differences(window, generator):
    shape = (2, 2, 3)
    x = torch.rand(2, *shape, dtype=torch.float64, generator=generator).add(0.1).requires_grad_()
    eps = torch.tensor([0.05, 0.4], dtype=torch.float64, requires_grad=True)
    for groups in (1, 2):
        rows = torch.randn(groups, 1, *shape, dtype=torch.float64, generator=generator, requires_grad=True)
        assert torch.autograd.gradcheck(
            lambda rows, x, eps: WassersteinBall(eps, window).bind(x).extremes(rows, VIEW), (rows, x, eps)
        )


def _exact_maximum(row: torch.Tensor, x: torch.Tensor, eps: float) -> Fraction:
    """max <row, z> over a window of 3 with squared distances, in rational arithmetic: the least F at all its kinks."""
    values, mass = (list(map(Fraction, image[0].double().flatten().tolist())) for image in (row, x))
    height, width = row.shape[1:]
    lines = []
    for i, j in product(range(height), range(width)):
        near = product(range(max(0, i - 1), min(height, i + 2)), range(max(0, j - 1), min(width, j + 2)))
        lines.append([(values[k * width + m], (i - k) ** 2 + (j - m) ** 2) for k, m in near])
    kinks = {Fraction(0)} | {
        (a - b) / (d - c) for own in lines for a, d in own for b, c in own if d > c and (a - b) / (d - c) > 0
    }
    budget = Fraction(eps) * sum(mass)
    return min(
        price * budget + sum(m * max(y - price * c for y, c in own) for m, own in zip(mass, lines)) for price in kinks
    )


@pytest.mark.parametrize("how", [{}, {"sharpness": 20.0}, {"sharpness": 1e7}, {"prices": 9}], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scales", [(1, 1), (1e-30, 1e30), (1e4, 1e-3), (1, 0)], ids=str)
def test_rounding_is_charged(dtype, scales, how, generator):
    """Rows with entries near one another, far from one another and tied; little and much mass, side by side."""
    x = torch.rand(1, 1, 3, 4, dtype=torch.float64, generator=generator)
    x = (x * torch.logspace(-6, 3, 12, dtype=torch.float64).reshape(1, 1, 3, 4) * scales[0]).to(dtype)
    x = x.repeat(2 if "prices" in how else 1, 1, 1, 1)  # prices are for rows that several samples share
    rows = torch.randn(1, 3, 1, 3, 4, dtype=torch.float64, generator=generator)
    rows[:, 1] = 1000 + 1e-3 * rows[:, 1]
    rows[:, 2] = rows[:, 2].round() / 3
    rows = (rows * scales[1]).to(dtype)
    for eps in (0.0, 1e-9, 0.1, 0.75, 5.0):
        region = WassersteinBall(eps, window=3, cost=2.0, **how).at(x)
        lower, upper = region.extremes(rows, VIEW)
        terms = (12 + 32) * torch.finfo(dtype).eps * region.enclosure().magnitude + region.rounding()
        charged = (rows.abs() * terms.unsqueeze(1)).flatten(2).sum(2).double()
        for row in range(3):
            most, least = (sign * _exact_maximum(sign * rows[0, row], x[0], eps) for sign in (1, -1))
            assert upper[0, row].double() + charged[0, row] >= float(most)
            assert lower[0, row].double() - charged[0, row] <= float(least)
            assert how or upper[0, row].double() - 2 * charged[0, row] <= float(most)


def test_windows_of_rows_equal_whole_rows(generator):
    """Windows inside the image, at its borders and beyond them, with mass that comes from outside the window."""
    x = torch.rand(2, 2, 7, 6, dtype=torch.float64, generator=generator)
    x *= torch.rand(x.shape, dtype=torch.float64, generator=generator) < 0.6
    region = WassersteinBall(torch.tensor([0.1, 2.0]), window=5).at(x)
    for stride, shift, shared in ((1, -1, False), (2, 0, False), (1, 1, True)):
        place = torch.tensor([[0, 0], [1, 1], [3, 2], [0, 2]]) // stride
        window = Window(place, (stride, stride), (shift, shift), (4, 4))
        base = torch.randn(1 if shared else 4, 3, 2, 3, 3, dtype=torch.float64, generator=generator)
        rows = Rows(base, (2, 7, 6), owner=torch.tensor([0, 1, 1, 0]), window=window, cropped=False).crop()
        dense = rows.dense()
        for ours, whole in zip(region.extremes(rows.values, rows), region.extremes(dense.values, dense), strict=True):
            torch.testing.assert_close(ours, whole)
        torch.testing.assert_close(region.least(rows.values, rows), region.extremes(dense.values, dense)[0])


def test_a_domain_keeps_the_contract(generator):
    x = torch.rand(2, 1, 2, 3, generator=generator)
    x[:, :, 0, 0] = 1
    check_perturbation_set(WassersteinBall(0.3, domain=(0, 1)), x, exact=False, dtypes=(torch.float32,))


def test_images_that_have_no_ball_are_refused():
    with pytest.raises(InvalidInputError, match=r"sample 1 has a pixel of -0\.5; give images before normalisation"):
        WassersteinBall(0.1).at(torch.tensor([[[0.0, 1.0]], [[-0.5, 1.0]]]))
    with pytest.raises(InvalidInputError, match=r"needs images, whose last two axes"):
        WassersteinBall(0.1).at(torch.ones(2, 3))
    with pytest.raises(InvalidInputError, match=r"mass of sample 1 is more than torch\.float32 can hold"):
        WassersteinBall(1e38).at(torch.tensor([[[1.0, 1.0]], [[3.0, 4.0]]]))
    with pytest.raises(InvalidInputError, match="outside the domain"):
        WassersteinBall(0.1, domain=(0, 0.5)).at(torch.ones(2, 1, 3))
    with pytest.raises(InvalidInputError, match="one number per sample"):
        WassersteinBall(torch.ones(1, 1, 3)).at(torch.ones(2, 1, 3))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ((-1.0,), "eps must be finite and not negative, but is -1"),
        ((0.1, 4), "window must be an odd number"),
        ((0.1, 5, 0.0), "cost must be a positive power"),
        ((0.1, 51, 30.0), "cost too much at the power 30"),
    ],
)
def test_parameters_out_of_range_are_refused(parameters, message):
    with pytest.raises(InvalidInputError, match=message):
        WassersteinBall(*parameters)
