"""Two inputs, each in the set around the other, never get different labels: all pairs of grids, and attacks."""

from __future__ import annotations

import pytest
import torch
from support.cascades import compiled, count_conflicts, labels_of, line, plane, without_check
from torch import Tensor

import autodual
from autodual import Cascade
from autodual.attacks import Pgd
from autodual.specs import ClassMargin


def _expected_on_the_line(lines: list[tuple[float, float]], z: float, radius: float) -> tuple[int | None, int | None]:
    """Label and stage by the definition: bounds of these stages are exact, J = |w z + b| - |w| · radius."""
    first = lines[0][0] * z + lines[0][1] > 0
    for number, (weight, bias) in enumerate(lines, start=1):
        value = weight * z + bias
        if (value > 0) != first:
            return None, None
        if abs(value) - abs(weight) * radius > 0:
            return (0 if first else 1), number
    return None, None


@pytest.mark.parametrize("seed", range(6))
def test_in_one_dimension_labels_are_those_of_the_definition(seed: int) -> None:
    """All points of a grid, and all pairs of them within the radius."""
    generator = torch.Generator().manual_seed(seed)
    lines = [tuple(pair) for pair in torch.randn(4, 2, generator=generator, dtype=torch.float64).tolist()]
    grid, radius = torch.linspace(-3, 3, 301, dtype=torch.float64).unsqueeze(1), 0.3
    found = autodual.certify_cascade(compiled(*[line(*one) for one in lines]), grid, autodual.LinfBall(radius))
    expected = [_expected_on_the_line(lines, z, radius) for z in grid.squeeze(1).tolist()]
    assert [(one.predicted, one.stage) for one in found] == expected
    _assert_no_conflict(labels_of(found), (grid - grid.T).abs() <= radius)


def _assert_no_conflict(labels: list[int | None], near: Tensor) -> None:
    """Points that are near one another, by the mask `[N, N]`, do not have different labels."""
    given = torch.tensor([-1 if label is None else label for label in labels])
    differ = (given >= 0) & (given.unsqueeze(1) >= 0) & (given != given.unsqueeze(1))
    assert not bool((differ & near).any())


# Whole multiples of 1/16, like the grid, so that points on the edge of a set are in it without rounding.
_BALLS = [
    autodual.LinfBall(0.125),
    autodual.L2Ball(0.125),
    autodual.L1Ball(0.1875),
    autodual.LinfBall(0.125, (-1.0, 0.9375)),
    autodual.L2Ball(0.125, (-1.0, 0.9375)),
    autodual.LinfBall(torch.tensor([[0.0625, 0.1875]])),
]


@pytest.mark.parametrize("ball", _BALLS, ids=lambda ball: ball.describe())
def test_in_the_plane_no_pair_within_the_ball_gets_two_labels(ball: autodual.PerturbationSet) -> None:
    """All pairs of a grid, for several cascades; without the check there are such pairs."""
    axis = torch.arange(-16, 16, dtype=torch.float64) / 16
    grid = torch.cartesian_prod(axis, axis)
    near = torch.stack([ball.at(grid).contains(point.expand_as(grid)) for point in grid])
    assert torch.equal(near, near.T) and ball.symmetric(grid)
    unchecked = later = 0
    for seed in range(3):
        cascade = compiled(*[plane(3 * seed + stage) for stage in range(3)])
        found = autodual.certify_cascade(cascade, grid, ball)
        _assert_no_conflict(labels_of(found), near)
        later += sum(one.stage is not None and one.stage > 1 for one in found)
        naive = torch.tensor([-1 if label is None else label for label in without_check(cascade, grid, ball)])
        differ = (naive >= 0) & (naive.unsqueeze(1) >= 0) & (naive != naive.unsqueeze(1))
        unchecked += int((differ & near).sum())
    assert later > 0 and unchecked > 0


@pytest.mark.parametrize("ball", [_BALLS[3], _BALLS[1]], ids=lambda ball: ball.describe())
def test_no_attack_changes_a_label(ball: autodual.PerturbationSet) -> None:
    """Random points, corners and gradient steps towards all classes of all stages, around many samples."""
    x = 1.8 * torch.rand(60, 2, generator=torch.Generator().manual_seed(5), dtype=torch.float64) - 0.9
    conflicts = unchecked = given = 0
    for seed in range(3):
        cascade = compiled(*[plane(3 * seed + stage) for stage in range(3)])
        labels, naive = labels_of(autodual.certify_cascade(cascade, x, ball)), without_check(cascade, x, ball)
        given += sum(label is not None for label in labels)
        points = _moved(cascade, x, ball)
        times = len(points) // len(x)
        conflicts += count_conflicts(labels * times, labels_of(autodual.certify_cascade(cascade, points, ball)))
        unchecked += count_conflicts(naive * times, without_check(cascade, points, ball))
    assert conflicts == 0 and given > 0 and unchecked > 0


def _moved(cascade: Cascade, x: Tensor, ball: autodual.PerturbationSet) -> Tensor:
    """Points of the sets around x, M for each sample: `[M · N, 2]`."""
    region, generator = ball.at(x), torch.Generator().manual_seed(3)
    points = [*region.sample(6, generator), *region.corners(6, generator)]
    for stage in cascade.stages:
        for label in range(3):
            goal = ClassMargin(torch.full((len(x),), label))
            # To be certified as a class, a point must lie deep within it.
            points.append(Pgd(steps=10).run(lambda z, f=stage: -f.outputs(z), region, goal))
    return torch.cat(points)
