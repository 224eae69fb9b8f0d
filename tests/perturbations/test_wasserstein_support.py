"""Bounds over Wasserstein balls against linear programs over transport plans."""

from __future__ import annotations

import numpy
import pytest
import torch

from autodual.perturbations import WassersteinBall, WholeView
from tests.support.transport_programs import Plans

VIEW = WholeView()
SHAPES = {"wide": (1, 4, 5), "channels": (2, 3, 4), "no channels": (5, 4), "column": (1, 6, 1), "pixel": (1, 1, 1)}


def images(shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    """Some dense, some with black pixels, one black."""
    x = torch.rand(4, *shape, dtype=torch.float64, generator=generator)
    x[1:3] *= torch.rand(2, *shape, dtype=torch.float64, generator=generator) < 0.4
    x[3] = 0
    return x


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize(("window", "power"), [(1, 1.0), (3, 1.0), (5, 2.0), (7, 0.5)])
def test_extremes_and_intervals_are_those_of_the_linear_program(shape, window, power, generator):
    x, plans = images(shape, generator), Plans.over(shape, window, power)
    for eps in (0.0, 0.03, 0.7, 20.0):
        region = WassersteinBall(eps, window, power).at(x)
        rows = torch.randn(4, 2, *shape, dtype=torch.float64, generator=generator)
        rows[:, 1] = rows[:, 1].round()  # many ties
        lower, upper = region.extremes(rows, VIEW)
        points = region.steepest(rows.transpose(0, 1))
        values = torch.einsum("knf,nkf->nk", points.flatten(2), rows.flatten(2))
        torch.testing.assert_close(values, upper, rtol=1e-9, atol=1e-9)
        for sample, budget in enumerate((eps * x.flatten(1).sum(1)).tolist()):
            image = x[sample].numpy()
            for row in range(2):
                cost = rows[sample, row].numpy()
                assert float(upper[sample, row]) == pytest.approx(plans.greatest(cost, image, budget), abs=1e-9)
                assert float(lower[sample, row]) == pytest.approx(-plans.greatest(-cost, image, budget), abs=1e-9)


def test_intervals_of_pixels_are_those_of_the_linear_program(generator):
    x, plans = images((2, 3, 3), generator), Plans.over((2, 3, 3), 5)
    for eps in (0.0, 0.03, 0.7, 20.0):
        box = WassersteinBall(eps).at(x).enclosure()
        for sample, budget in enumerate((eps * x.flatten(1).sum(1)).tolist()):
            for pixel in range(18):
                unit = numpy.zeros(18)
                unit[pixel] = 1
                ends = [sign * plans.greatest(sign * unit, x[sample].numpy(), budget) for sign in (-1, 1)]
                found = [float(end[sample].flatten()[pixel]) for end in (box.lower, box.upper)]
                assert found == pytest.approx(ends, abs=1e-9)
