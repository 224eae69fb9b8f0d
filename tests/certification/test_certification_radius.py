"""Certified radii: certified at the radius returned, capped, zero where nothing holds, and as large as by bisection."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import autodual
from autodual.errors import InvalidInputError
from autodual.network import DualNetwork
from autodual.perturbations import PerturbationSet

Sets = Callable[[Tensor], PerturbationSet]
BALLS: dict[str, Sets] = {
    "linf": autodual.LinfBall,
    "l2": autodual.L2Ball,
    "l1": autodual.L1Ball,
    "l3": lambda radius: autodual.LpBall(3, radius),
    "clipped": lambda radius: autodual.LinfBall(radius, domain=(-3, 3)),
}
MOST, TOLERANCE = 1.5, 1e-4


def _certified(dual: autodual.DualNetwork, x: Tensor, ball: PerturbationSet, labels: Tensor) -> Tensor:
    return torch.tensor([c.certified for c in autodual.certify(dual, x, ball, labels, slopes="shared")])


def _bisection(dual: autodual.DualNetwork, x: Tensor, ball: Sets, labels: Tensor) -> Tensor:
    low, high = torch.zeros(len(x), dtype=x.dtype), torch.full((len(x),), MOST, dtype=x.dtype)
    for _ in range(22):
        middle = (low + high) / 2
        proved = _certified(dual, x, ball(middle), labels)
        low, high = torch.where(proved, middle, low), torch.where(proved, high, middle)
    return low


@pytest.mark.parametrize("kind", BALLS)
def test_radii_are_certified_and_as_large_as_bisection_finds(
    kind: str, dual: autodual.DualNetwork, x: Tensor, labels: Tensor
) -> None:
    """With shared slopes, whose bound J crosses zero once here; with adaptive slopes J jumps and crosses more often."""
    ball = BALLS[kind]
    x = x.clamp(-3, 3)
    labels = torch.where(torch.arange(len(x)) < 5, labels, dual.outputs(x).argmax(1))
    found = autodual.certified_radius(
        dual, x, ball, labels=labels, max_radius=MOST, tolerance=TOLERANCE, slopes="shared"
    )
    positive = found > 0
    assert bool(positive.any())
    assert bool(_certified(dual, x[positive], ball(found[positive]), labels[positive]).all())
    assert not bool(found[dual.outputs(x).argmax(1) != labels].any())
    expected = _bisection(dual, x, ball, labels)
    torch.testing.assert_close(found, expected, atol=2 * TOLERANCE * MOST, rtol=0)


def test_radii_are_capped(dual: autodual.DualNetwork, x: Tensor) -> None:
    found = autodual.certified_radius(dual, x, autodual.LinfBall, max_radius=0.01)
    assert float(found.max()) == 0.01
    for bad in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InvalidInputError, match="max_radius"):
            autodual.certified_radius(dual, x, autodual.LinfBall, max_radius=bad)


def test_sets_may_have_parameters_per_sample(dual: autodual.DualNetwork, x: Tensor) -> None:
    """A box is always made for all samples, also after some are done; a set may ignore the radius."""
    expected = autodual.certified_radius(dual, x, autodual.LinfBall, max_radius=MOST)
    boxes = autodual.certified_radius(
        dual, x, lambda radius: autodual.Box(x - radius[:, None], x + radius[:, None]), max_radius=MOST
    )
    # Equal sets up to rounding, which changes the point inside the last bracket.
    torch.testing.assert_close(boxes, expected, atol=TOLERANCE * MOST, rtol=0)
    points = autodual.certified_radius(dual, x, lambda radius: autodual.Box(x, x), max_radius=MOST)
    assert points.tolist() == [MOST] * len(x)


def test_float32_radii_are_certified(dual: autodual.DualNetwork, x: Tensor) -> None:
    """A sample's radius does not depend on the other samples."""
    x = x.float()
    found = autodual.certified_radius(dual, x, autodual.L2Ball, max_radius=MOST)
    assert found.dtype == torch.float32
    assert all(certificate.certified for certificate in autodual.certify(dual, x, autodual.L2Ball(found)))
    each = [autodual.certified_radius(dual, one, autodual.L2Ball, max_radius=MOST) for one in x[:5].split(1)]
    alone = torch.cat(each)
    torch.testing.assert_close(alone, found[:5], atol=1e-3, rtol=0)


def test_networks_without_nonlinearities_have_radii() -> None:
    """Nothing is relaxed, so that J is exact: the radius is half the gap of the two scores, and 0 at a tie."""
    model = torch.nn.Linear(2, 2).double()
    with torch.no_grad():
        model.weight.copy_(torch.eye(2))
        model.bias.zero_()
    x = torch.tensor([[3.0, 1.0], [1.0, 1.0]], dtype=torch.float64)
    found = autodual.certified_radius(autodual.compile_dual(model), x, autodual.LinfBall, max_radius=4.0)
    torch.testing.assert_close(found, torch.tensor([1.0, 0.0], dtype=torch.float64), atol=4e-4, rtol=0)


def test_float64_decides_where_float32_loses_its_digits() -> None:
    """A bias of 3·10⁴ that the next layer subtracts: margins are x₀ - x₁, of which float32 keeps few digits."""
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2))
    with torch.no_grad():
        for layer, bias in ((model[0], 3e4), (model[2], -3e4)):
            layer.weight.copy_(torch.eye(2))
            layer.bias.fill_(bias)
    x, labels = torch.tensor([[0.002, 0.001], [0.3, 0.1], [0.1, 0.3]]), torch.zeros(3, dtype=torch.long)
    dual = autodual.compile_dual(model, x)
    radii = autodual.certified_radius(dual, x, autodual.LinfBall, labels=labels, tolerance=1e-6)
    exact = torch.tensor([0.0005, 0.1, 0.0])
    assert radii.dtype == torch.float32 and bool((radii <= exact + 1e-8).all())
    torch.testing.assert_close(radii, exact, rtol=0, atol=2e-6)


def test_nearly_linear_margins_take_few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bracket closes from both sides: one step to the crossing, and one beyond it."""
    calls = []
    bounds = DualNetwork.forward
    monkeypatch.setattr(DualNetwork, "forward", lambda *args, **options: calls.append(1) or bounds(*args, **options))
    dual = autodual.compile_dual(nn.Linear(4, 3))
    x = torch.rand(1, 4)
    radius = autodual.certified_radius(dual, x, autodual.LinfBall)
    assert 0 < radius < 1 and len(calls) <= 6


class _Falling(nn.Module):
    """The first score falls exponentially, and its bounds overflow at radii of a hundred."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([1000 - torch.exp(x), 0 * x], 1)


@pytest.mark.parametrize("most", [100.0, 1e3, 1e6, 1e30])
def test_margins_far_below_zero_take_few_steps(monkeypatch: pytest.MonkeyPatch, most: float) -> None:
    """A line to a margin of minus infinity, or nearly that, says nothing of where margins cross zero."""
    calls = []
    bounds = DualNetwork.forward
    monkeypatch.setattr(DualNetwork, "forward", lambda *args, **options: calls.append(1) or bounds(*args, **options))
    dual, x = autodual.compile_dual(_Falling()), torch.zeros(1, 1)
    radius = autodual.certified_radius(dual, x, autodual.LinfBall, max_radius=most, tolerance=1e-3 / most)
    exact = torch.tensor([1000.0]).log()
    assert bool((radius <= exact).all()) and bool((radius > exact - 2e-3).all())
    assert len(calls) <= (20 if most < 1e10 else 40)


@pytest.mark.parametrize(("name", "value"), [("tolerance", -1e-3), ("tolerance", float("nan")), ("max_radius", 1e39)])
def test_numbers_out_of_range_are_refused(dual: autodual.DualNetwork, x: Tensor, name: str, value: float) -> None:
    with pytest.raises(InvalidInputError, match=name):
        autodual.certified_radius(dual, x.float(), autodual.LinfBall, **{name: value})
