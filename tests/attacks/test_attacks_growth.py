"""Radii that grow during an attack: near points are found first, and all lie in the set."""

from __future__ import annotations

import pytest
import torch

import autodual
from autodual.attacks import Ascent, Fixed, Pgd, Uniform
from autodual.attacks.growth import Growth
from autodual.errors import InvalidInputError
from autodual.perturbations import PerturbationSet
from autodual.specs import ClassMargin

_X = torch.linspace(0.2, 0.8, 12, dtype=torch.float64).reshape(2, 6)
_LABELS = ClassMargin(torch.tensor([0, 0]))


def _behind(distance: float) -> object:
    """Scores of two classes, whose boundary is a plane at a distance from each sample."""
    normal = torch.ones(6, dtype=torch.float64) / 6**0.5

    def scores(z: torch.Tensor) -> torch.Tensor:
        ahead = ((z - _X[: len(z)]) @ normal - distance).unsqueeze(1)
        return torch.cat([torch.zeros_like(ahead), ahead], 1)

    return scores


def test_the_radius_grows_to_that_of_the_set() -> None:
    shares = [Growth(1.4, every=5).share(step, 50) for step in range(50)]
    assert shares == sorted(shares)
    assert len(set(shares)) == 10
    assert shares[-1] == 1
    assert abs(shares[0] * 1.4**9 - 1) < 1e-12
    assert {Growth().share(step, 7) for step in range(7)} == {1.0}


@pytest.mark.parametrize("distance", [0.05, 0.21, 0.9])
def test_the_first_point_found_is_at_most_one_growth_further_than_it_needs_to_be(distance: float) -> None:
    region = autodual.L2Ball(1.0).at(_X)
    ascent = Ascent(size=Fixed(0.3), steps=60, keep="first", growth=Growth(1.4, every=5))
    points = ascent.run(_behind(distance), region, _LABELS)
    length = (points - _X).norm(dim=1)
    assert (length > distance).all()
    assert (length <= 1.4 * distance).all()
    assert region.contains(points).all()


@pytest.mark.parametrize(
    "ball",
    [
        autodual.LinfBall(0.3),
        autodual.LinfBall(torch.tensor([0.1, 0.3], dtype=torch.float64), (0, 1)),
        autodual.L1Ball(0.5, (0, 1)),
        autodual.ProductSet((autodual.LinfBall(0.2), None, autodual.L2Ball(0.3)), ((2,), (1,), (3,))),
    ],
)
def test_any_set_with_a_radius_grows(ball: PerturbationSet) -> None:
    region = ball.at(_X)
    small = region.enlarged(0.5)
    near = small.sample(20, torch.Generator().manual_seed(0))
    assert small.contains(near).all()
    assert region.contains(near).all()
    assert not small.contains(region.corners(20, torch.Generator().manual_seed(0))).all()
    ascent = Ascent(Uniform(), size=Fixed(0.5), steps=12, keep="last", growth=Growth(1.4, every=3))
    assert region.contains(ascent.run(_behind(9.0), region, _LABELS)).all()


def test_a_set_without_a_radius_does_not_grow() -> None:
    region = autodual.Box(_X - 0.1, _X + 0.1).at(_X)
    with pytest.raises(InvalidInputError, match="no radius"):
        Ascent(steps=4, growth=Growth(1.4)).run(_behind(1.0), region, _LABELS)
    assert region.contains(Pgd(steps=4).run(_behind(1.0), region, _LABELS)).all()


@pytest.mark.parametrize("options", [{"factor": 0.9}, {"factor": float("nan")}, {"every": 0}])
def test_a_radius_does_not_shrink(options: dict[str, float]) -> None:
    with pytest.raises(InvalidInputError, match="radius grows"):
        Growth(**options)
