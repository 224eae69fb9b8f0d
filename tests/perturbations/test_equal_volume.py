"""l2 radii of the volume of an l∞ ball, against volumes computed in other ways."""

from __future__ import annotations

import math

import pytest
import torch

from autodual.errors import InvalidInputError
from autodual.perturbations import equal_volume_radius


def log_volume_of_l2_ball(dimension: int, radius: float) -> float:
    """By the recurrence V_d = V_{d-2} 2π r² / d from the interval and the disc, without the gamma function."""
    start = 2 - dimension % 2
    volume = math.log(2 * radius if start == 1 else math.pi * radius**2)
    return volume + sum(math.log(2 * math.pi * radius**2 / d) for d in range(start + 2, dimension + 1, 2))


@pytest.mark.parametrize("dimension", [1, 2, 3, 7, 784, 3072])
@pytest.mark.parametrize("eps", [2 / 255, 0.1, 3.0])
def test_the_exact_radius_has_the_volume_of_the_cube(dimension: int, eps: float) -> None:
    radius = equal_volume_radius(eps, dimension)
    assert log_volume_of_l2_ball(dimension, radius) == pytest.approx(
        dimension * math.log(2 * eps), rel=1e-11, abs=1e-11
    )


@pytest.mark.parametrize("dimension", [2, 3, 5])
def test_the_volume_by_counting_random_points(dimension: int) -> None:
    """The share of a cube of side 2r that lies in the ball of radius r is (2 eps)^d / (2r)^d."""
    radius = equal_volume_radius(1.0, dimension)
    points = torch.rand(400_000, dimension, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1
    share = float((points.norm(dim=1) <= 1).double().mean())
    assert share == pytest.approx(radius**-dimension, rel=0.015)


def test_the_thesis_radii_and_what_they_should_have_been() -> None:
    assert equal_volume_radius(0.1, 784, "thesis") == pytest.approx(1.58, abs=0.005)
    assert equal_volume_radius(0.1, 784) == pytest.approx(1.362, abs=0.0005)
    assert 255 * equal_volume_radius(2 / 255, 1024, "thesis") == pytest.approx(36, abs=0.2)
    assert 255 * equal_volume_radius(2 / 255, 3072, "thesis") == pytest.approx(62.5, abs=0.1)
    assert 255 * equal_volume_radius(2 / 255, 3072) == pytest.approx(53.7, abs=0.1)
    factor = equal_volume_radius(1, 784, "thesis") / equal_volume_radius(1, 784)
    assert 784 * math.log10(factor) == pytest.approx(50.5, abs=0.2)  # decades of volume
    factors = [equal_volume_radius(1, d, "thesis") / equal_volume_radius(1, d) for d in (1, 2, 30, 1000, 10**6)]
    assert factors == sorted(factors) and factors[-1] == pytest.approx(math.sqrt(math.e / 2), rel=1e-4)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [((-0.1, 3), "eps="), ((math.nan, 3), "eps="), ((0.1, 0), "dimension="), ((0.1, 3, "half"), "rule=")],
)
def test_numbers_out_of_range_are_refused(arguments, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        equal_volume_radius(*arguments)
