"""The contract suite of perturbation sets: the package's own sets pass it, and planted faults are found."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import autodual
from autodual.errors import InvalidInputError
from autodual.interval import Interval
from autodual.perturbations import L2Ball, LinfBall, PerturbationSet, PlacedSet, ProductSet
from autodual.perturbations.box import BoxRegion
from autodual.perturbations.registry import registered_sets
from autodual.testing import PerturbationSetError, check_perturbation_set

EXAMPLE = Path(__file__).parents[2] / "examples" / "extending" / "own_set.py"
X = torch.rand(3, 1, 3, 4, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def brightness():
    spec = importlib.util.spec_from_file_location("example_brightness", EXAMPLE)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    before = dict(registered_sets._SETS)
    spec.loader.exec_module(module)
    yield module.Brightness
    registered_sets._SETS.clear()
    registered_sets._SETS.update(before)


def test_the_sets_of_the_package_keep_the_contract(problem):
    check_perturbation_set(problem.set, problem.x, exact=problem.exact)


def test_products_keep_the_contract():
    product = ProductSet((LinfBall(0.1), None, L2Ball(0.2)), ((2,), (1,), (3,)))
    check_perturbation_set(product, torch.rand(3, 6, generator=torch.Generator().manual_seed(1)))


@pytest.mark.parametrize("radius", [0.0, 0.05, [0.1, 0.0, 0.3]])
def test_the_example_keeps_the_contract(brightness, radius):
    exact = radius == 0.05  # a box of radius 0 cannot absorb the rounding of a shift, so no point is shifted
    check_perturbation_set(brightness(torch.tensor(radius), 0.2), X, exact=exact)
    check_perturbation_set(brightness(torch.tensor(radius), 0.2), X.flatten(1), exact=exact)


def test_bounds_over_the_example_hold_at_its_points(brightness, generator):
    """Dual rows of convolutions are windows. No sampled point goes below the bound, and the enclosing box is looser."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32, 2)]
    model, x = nn.Sequential(*layers).double().eval(), torch.rand(2, 1, 6, 6, dtype=torch.float64, generator=generator)
    ball = brightness(0.01, 0.1)
    lower = autodual.compile_dual(model, x).lower_bounds(x, ball, torch.eye(2, dtype=torch.float64))
    region = ball.at(x)
    points = torch.cat([region.sample(2000, generator), region.corners(2000, generator)])
    with torch.no_grad():
        least = model(points.flatten(0, 1)).reshape(4000, 2, 2).amin(0)
    assert (lower <= least).all()
    box = autodual.compile_dual(model, x).lower_bounds(x, autodual.LinfBall(0.11), torch.eye(2, dtype=torch.float64))
    assert (box < lower).all()


@dataclass(frozen=True, eq=False)
class Faulty(PerturbationSet):
    """An l∞ ball with one fault."""

    kind: type[PlacedSet]

    def bind(self, x: Tensor) -> PlacedSet:
        whole = LinfBall(0.2).at(x)
        return self.kind(self, x, whole.lower, whole.upper)

    def describe(self) -> str:
        return "a faulty ball"

    def settings(self):
        return {}


class TooSmallExtremes(BoxRegion):
    def extremes(self, nu, view):
        lower, upper = super().extremes(nu, view)
        middle = (lower + upper) / 2
        return middle + 0.9 * (lower - middle), middle + 0.9 * (upper - middle)


class TooSmallEnclosure(BoxRegion):
    def enclosure(self):
        box = super().enclosure()
        return Interval(box.lower + 0.01, box.upper - 0.01)


class TooLargeExtremes(BoxRegion):
    def extremes(self, nu, view):
        lower, upper = super().extremes(nu, view)
        return lower - 0.1 * nu.abs().flatten(2).sum(2), upper + 0.1 * nu.abs().flatten(2).sum(2)


class LosesNan(BoxRegion):
    def extremes(self, nu, view):
        return super().extremes(nu.nan_to_num(0.0), view)


class IgnoresWindows(BoxRegion):
    def extremes(self, nu, view):
        value = (nu * self.middle[..., : nu.shape[-1]].unsqueeze(1)).flatten(2).sum(2)
        spread = (nu.abs() * self.half_width[..., : nu.shape[-1]].unsqueeze(1)).flatten(2).sum(2)
        return value - spread, value + spread


class NoRounding(BoxRegion):
    def rounding(self):
        return torch.zeros_like(self.centre)


class ProjectsTooFar(BoxRegion):
    def project(self, points):
        return points.clamp(self.lower - 0.01, self.upper + 0.01)


class ContainsAll(BoxRegion):
    def contains(self, points, tolerance=0.0):
        return torch.ones(points.shape[: points.dim() - len(self.shape)], dtype=torch.bool)


class SelectsNothing(BoxRegion):
    def select(self, index):
        return replace(self, centre=self.centre[index], lower=self.lower[index], upper=self.centre[index] + 0.1)


class OneSided(BoxRegion):
    def extremes(self, nu, view):
        lower, upper = super().extremes(nu, view)
        return lower, upper + 0.5


class NotSuperadditive(BoxRegion):
    def extremes(self, nu, view):
        lower, upper = super().extremes(nu, view)
        few = (nu != 0).flatten(2).sum(2) < 6
        return torch.where(few, lower - 0.3, lower), torch.where(few, upper + 0.3, upper)


FAULTS = {
    TooSmallExtremes: "value below the minimum|enclosure|independent",
    TooSmallEnclosure: "enclosure",
    TooLargeExtremes: "independent|attains|enclosure",
    LosesNan: "NaN get numbers",
    IgnoresWindows: "over a window",
    NoRounding: "rounding does not cover",
    ProjectsTooFar: "does not contain what it projects",
    ContainsAll: "contains NaN",
    SelectsNothing: "selecting samples changes",
    OneSided: "zeros has an extreme other than 0|minus the maximum",
    NotSuperadditive: "superadditive|twice|zeros has an extreme other than 0",
}


@pytest.mark.parametrize("kind", FAULTS, ids=lambda kind: kind.__name__)
def test_planted_faults_are_found(kind):
    with pytest.raises(PerturbationSetError, match=FAULTS[kind]):
        check_perturbation_set(Faulty(kind), X)


def test_sets_that_cannot_be_checked_are_refused():
    with pytest.raises(InvalidInputError, match="neither a Support nor Searchable"):
        check_perturbation_set(Nothing(), X)
    with pytest.raises(InvalidInputError, match="at least two samples"):
        check_perturbation_set(LinfBall(0.1), X[:1])


@dataclass(frozen=True, eq=False)
class Nothing(PerturbationSet):
    """A set that can be placed, but neither bounded nor searched."""

    def bind(self, x: Tensor) -> PlacedSet:
        return PlacedSet(self, x)

    def describe(self) -> str:
        return "nothing"

    def settings(self):
        return {}
