"""Sets that can only be bounded or only be searched, need whole rows, read the input around a window, or need memory.

Each is a box in disguise, so that its bounds are known.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import autodual
from autodual.attacks import Fgsm, broken
from autodual.dual.row_windows import Window
from autodual.dual.rows import Rows
from autodual.errors import InvalidInputError
from autodual.interval import Interval
from autodual.perturbations import LinfBall, PerturbationSet, PlacedSet, ProductSet, Searchable, Support
from autodual.perturbations.regions.support import end_rounding


@dataclass(frozen=True, eq=False)
class Half(PerturbationSet):
    """An l∞ ball that offers only bounds, or only searches."""

    radius: float
    kind: type[PlacedSet]
    seen: list[int] = field(default_factory=list)

    def bind(self, x: Tensor) -> PlacedSet:
        return self.kind(self, x)

    def describe(self) -> str:
        return "half a ball"

    def settings(self):
        return {"set": "half"}


@dataclass(frozen=True, eq=False)
class Bounded(Support):
    """A ball that can only be bounded, and takes whole rows only."""

    windowed = False

    @property
    def ball(self):
        return LinfBall(self.source.radius).at(self.centre)

    def enclosure(self):
        return self.ball.enclosure()

    def extremes(self, nu, view):
        assert nu.shape[2:] == self.shape
        self.source.seen.append(nu.shape[0] * nu.shape[1])
        return self.ball.extremes(nu, view)

    def rounding(self):
        return self.ball.rounding()


@dataclass(frozen=True, eq=False)
class Heavy(Bounded):
    """The same, but claims to need the memory of 400 rows for each row."""

    def working_scalars(self, entries):
        return 400 * entries


@dataclass(frozen=True, eq=False)
class Searched(Searchable):
    """A ball that can only be attacked."""

    @property
    def ball(self):
        return LinfBall(self.source.radius).at(self.centre)

    def contains(self, points, tolerance=0.0):
        return self.ball.contains(points, tolerance)

    def project(self, points):
        return self.ball.project(points)

    def steepest(self, gradient):
        return self.ball.steepest(gradient)

    def direction(self, gradient):
        return self.ball.direction(gradient)

    def sample(self, count, generator=None):
        return self.ball.sample(count, generator)

    def corners(self, count, generator=None):
        return self.ball.corners(count, generator)


@dataclass(frozen=True, eq=False)
class Beside(PerturbationSet):
    """Every pixel may take any value between the minimum and the maximum of its 3×3 neighbourhood: a box."""

    def bind(self, x: Tensor) -> PlacedSet:
        return BesideSupport(self, x)

    def describe(self) -> str:
        return "values of neighbours"

    def settings(self):
        return {"set": "beside"}


def _least_and_greatest(x: Tensor, inside: Tensor) -> tuple[Tensor, Tensor]:
    """Over 3×3 pixels, without those outside the image; `[G, C, h + 2, w + 2]` to `[G, C, h, w]`."""
    greatest = functional.max_pool2d(x.masked_fill(inside == 0, -torch.inf), 3, 1)
    least = -functional.max_pool2d((-x).masked_fill(inside == 0, -torch.inf), 3, 1)
    return least, greatest


@dataclass(frozen=True, eq=False)
class BesideSupport(Support):
    """Reads x around the window of the rows."""

    def enclosure(self):
        wider = functional.pad(self.centre, (1, 1, 1, 1))
        return Interval(*_least_and_greatest(wider, functional.pad(torch.ones_like(self.centre), (1, 1, 1, 1))))

    def extremes(self, nu, view):
        wider, inside = view.around(self.centre, (1, 1)), view.around(torch.ones_like(self.centre), (1, 1))
        wider, inside = torch.broadcast_tensors(wider, inside)
        least, greatest = (end.unsqueeze(1) for end in _least_and_greatest(wider[:, 0], inside[:, 0]))
        here = view.features(torch.ones_like(self.centre)) == 0
        least, greatest = least.masked_fill(here, 0), greatest.masked_fill(here, 0)
        low = nu.clamp(min=0) * least + nu.clamp(max=0) * greatest
        high = nu.clamp(min=0) * greatest + nu.clamp(max=0) * least
        return low.flatten(2).sum(2), high.flatten(2).sum(2)

    def rounding(self):
        return end_rounding(self)


@pytest.fixture(scope="module")
def dual() -> autodual.DualNetwork:
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32, 3)]
    return autodual.compile_dual(nn.Sequential(*layers).double().eval(), torch.rand(2, 1, 6, 6).double())


def bounds(dual: autodual.DualNetwork, ball: PerturbationSet, rigorous: bool = True) -> Tensor:
    return dual(X, ball, torch.eye(3, dtype=X.dtype), rigorous=rigorous).lower


X = torch.rand(3, 1, 6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
LABELS = torch.tensor([0, 1, 2])


def test_a_set_that_can_only_be_bounded_is_certified_over_and_gets_whole_rows(dual):
    half = Half(0.05, Bounded)
    ours = bounds(dual, half)
    torch.testing.assert_close(ours, bounds(dual, LinfBall(0.05)), rtol=0, atol=1e-10)
    assert half.seen
    found = autodual.certify(dual, X, half, LABELS)
    assert [one.status for one in found] == [one.status for one in autodual.certify(dual, X, LinfBall(0.05), LABELS)]


def test_a_set_that_can_only_be_bounded_is_not_attacked(dual):
    message = r"an attack needs to know which points the set contains, .*\(it is not Searchable\): half a ball"
    half = Half(0.05, Bounded)
    with pytest.raises(InvalidInputError, match=message):
        autodual.certify(dual, X, half, LABELS, attack=Fgsm())
    with pytest.raises(InvalidInputError, match=message):
        broken(dual.outputs, half.at(X), LABELS, Fgsm())
    with pytest.raises(InvalidInputError, match=message.replace("an attack", "a cascade")):
        autodual.certify_cascade(autodual.Cascade((dual,)), X, half)


def test_a_set_that_can_only_be_searched_is_attacked_and_not_bounded(dual):
    half = Half(0.3, Searched)
    ours, theirs = (broken(dual.outputs, ball.at(X), LABELS, Fgsm()) for ball in (half, LinfBall(0.3)))
    assert torch.equal(ours, theirs)
    message = r"bounds need the least values of linear functions .* \(it is no Support\): half a ball; it can only"
    for ask in (
        lambda: autodual.certify(dual, X, half, LABELS),
        lambda: dual.margins(X, LABELS, half),
        lambda: dual.bounds(X, half),
        lambda: autodual.certified_radius(dual, X, lambda radius: Half(0.1, Searched), labels=LABELS),
    ):
        with pytest.raises(InvalidInputError, match=message):
            ask()


def test_a_product_can_do_what_all_its_parts_can():
    shapes, x = ((2,), (3,)), torch.rand(2, 5)
    bounded, searched = (ProductSet((LinfBall(0.1), Half(0.1, kind)), shapes) for kind in (Bounded, Searched))
    assert isinstance(bounded.at(x), Support) and not isinstance(bounded.at(x), Searchable)
    assert isinstance(searched.at(x), Searchable) and not isinstance(searched.at(x), Support)
    assert bool(searched.at(x).select(slice(0, 1)).contains(x[:1]).all())
    with pytest.raises(InvalidInputError, match="neither bounded nor searched"):
        ProductSet((Half(0.1, Bounded), Half(0.1, Searched)), shapes).at(x)


def test_the_memory_that_a_set_says_it_needs_is_counted(dual):
    """400 times a row of 36 doubles is 115,200 bytes per row; a third of the budget for tensors holds 133 such rows."""
    light, heavy = Half(0.3, Bounded), Half(0.3, Heavy)
    small = autodual.compile_dual(dual.model, X, memory_budget=64 << 20)
    for half in (light, heavy):
        bounds(small, half)
    assert max(heavy.seen) * 400 * 36 * 8 <= (64 << 20) / 3 < max(light.seen) * 400 * 36 * 8
    torch.testing.assert_close(bounds(small, heavy), bounds(dual, light), rtol=0, atol=1e-12)


@pytest.mark.parametrize("rigorous", [False, True])
def test_a_set_sees_the_input_around_a_window(dual, rigorous):
    found = Beside().at(X).enclosure()
    same = autodual.Box(found.lower, found.upper)
    ours, theirs = (bounds(dual, ball, rigorous) for ball in (Beside(), same))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-9)


@pytest.mark.parametrize("margin", [(0, 0), (1, 2), (3, 3)])
def test_the_view_around_a_window_is_the_padded_input(margin):
    position = torch.tensor([[0, 0], [1, 2], [2, 2]])
    window = Window(position, (2, 1), (-1, 0), (3, 3))
    owner = torch.tensor([0, 1, 2])
    rows = Rows(torch.zeros(3, 2, 1, 3, 2), (1, 6, 6), owner=owner, window=window)
    wide = functional.pad(X, (9, 9, 9, 9))
    for group in range(3):
        top, left = (int(at) + 9 for at in window.origin[group])
        rise, run = margin
        expected = wide[group, :, top - rise : top + 3 + rise, left - run : left + 2 + run]
        assert torch.equal(rows.around(X, margin)[group, 0], expected)
