"""Bounds over Wasserstein balls against linear programs over transport plans."""

from __future__ import annotations

import numpy
import pytest
import torch
from support.transport_programs import Plans

from autodual.perturbations import WassersteinBall, WholeView

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
@pytest.mark.parametrize(("window", "power"), [(1, 1.0), (3, 1.0), (5, 2.0), (7, 0.5)])
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


@pytest.mark.parametrize("window", [3, 5])
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
