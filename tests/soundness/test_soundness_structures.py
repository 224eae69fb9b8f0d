"""Bounds of small traced networks of every usual structure, compared with samples and attacks."""

from __future__ import annotations

import pytest
import torch
from support.structures import STRUCTURES
from torch import Tensor

import autodual
from autodual.attacks import Pgd
from autodual.network import DualNetwork
from autodual.perturbations import LinfBall
from autodual.policies import SlopePolicy
from autodual.specs import HalfSpaces

torch.set_num_threads(1)

#: Allowed for rounding in float64, relative to the bounds.
ROUNDING = 1e-9


@pytest.fixture(scope="module", params=list(STRUCTURES))
def compiled(request: pytest.FixtureRequest) -> tuple[DualNetwork, Tensor, float]:
    structure = STRUCTURES[request.param]
    x = structure.samples()
    return autodual.compile_dual(structure.build(), x), x, structure.radius


def _objective(x: Tensor, outputs: int = 3) -> Tensor:
    """Every output and its negative, and differences of outputs."""
    unit = torch.eye(outputs, dtype=x.dtype)
    return torch.cat([unit, -unit, unit - unit.roll(1, 0)])


@pytest.mark.parametrize("slopes", ["shared", "adaptive", "optimized"])
def test_no_point_of_the_set_falls_below_a_bound(
    compiled: tuple[DualNetwork, Tensor, float], slopes: SlopePolicy
) -> None:
    dual, x, radius = compiled
    ball, objective = LinfBall(radius), _objective(x)
    lower = dual.lower_bounds(x, ball, objective, slopes=slopes)
    assert bool(lower.isfinite().all())
    region, generator = ball.at(x), torch.Generator().manual_seed(0)
    points = torch.cat([region.sample(64, generator), region.corners(64, generator)])
    outputs = dual.model(points.flatten(0, 1)).reshape(*points.shape[:2], -1)
    reached = (outputs @ objective.T).amin(0)
    assert bool((reached >= lower - ROUNDING * (1 + lower.abs())).all()), float((lower - reached).max())
    # Not uselessly loose: most widths are within twice the sampled range; layer norms have the loosest bounds.
    upper = dual.upper_bounds(x, ball, objective, slopes=slopes)
    width = (outputs @ objective.T).amax(0) - reached
    assert float((upper - lower).detach().mean() / width.detach().mean()) < 30


def test_no_attack_gets_below_a_bound(compiled: tuple[DualNetwork, Tensor, float]) -> None:
    dual, x, radius = compiled
    ball, objective = LinfBall(radius), _objective(x)
    lower = dual.lower_bounds(x, ball, objective, slopes="adaptive")
    for row, bound in zip(objective, lower.T):
        property_ = HalfSpaces(row[None], torch.zeros(1, dtype=x.dtype))
        points = Pgd(steps=10, restarts=1, seed=0).run(dual.outputs, ball.at(x), property_)
        reached = dual.outputs(points) @ row
        assert bool((reached >= bound - ROUNDING * (1 + bound.abs())).all()), float((bound - reached).max())


@pytest.mark.parametrize("slopes", ["shared", "adaptive", "optimized"])
def test_without_perturbation_bounds_are_the_outputs(
    compiled: tuple[DualNetwork, Tensor, float], slopes: SlopePolicy
) -> None:
    dual, x, _ = compiled
    objective = _objective(x)
    lower = dual.lower_bounds(x, LinfBall(0.0), objective, slopes=slopes)
    torch.testing.assert_close(lower, dual.model(x) @ objective.T, rtol=0, atol=1e-9)


def test_float32_gives_the_bounds_of_float64(compiled: tuple[DualNetwork, Tensor, float]) -> None:
    dual, x, radius = compiled
    objective = _objective(x)
    wide = dual.lower_bounds(x, LinfBall(radius), objective)
    narrow = dual.lower_bounds(x.float(), LinfBall(radius), objective.float())
    torch.testing.assert_close(narrow.double(), wide, rtol=1e-3, atol=1e-3)


SCALARS = {
    "a logit": lambda x: x.sin().sum(1),
    "a probability": lambda x: (x * x).sum(1).sigmoid() * 2 + 1,
    "a difference": lambda x: x[:, 0].exp() - x[:, 1] * x[:, 2],
    "a scale": lambda x: (x / x.exp().sum(1)[:, None]).amax(1),
    "a distance": lambda x: torch.nn.functional.cosine_similarity(x, x.roll(1, 1), dim=1),
    "a mean": lambda x: torch.maximum(x.mean(1), x[:, 0]),
}


class Function(torch.nn.Module):
    def __init__(self, name: str):
        super().__init__()
        self.function = SCALARS[name]

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


@pytest.mark.parametrize("name", SCALARS)
def test_networks_with_one_number_per_sample(name: str) -> None:
    """Scalars (tensors without axes) inside a network and as its output."""
    model = Function(name)
    x = torch.rand(2, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 0.5
    dual, one, ball = autodual.compile_dual(model, x), torch.ones(1, 1, dtype=x.dtype), LinfBall(0.05)
    reached = model(ball.at(x).corners(64, torch.Generator().manual_seed(0)).flatten(0, 1)).reshape(64, 2)
    for slopes in ("shared", "adaptive", "optimized"):
        assert bool((reached >= dual.lower_bounds(x, ball, one, slopes=slopes).T - 1e-9).all())
        assert bool((reached <= dual.upper_bounds(x, ball, one, slopes=slopes).T + 1e-9).all())
    exact = dual.lower_bounds(x, LinfBall(0.0), one)
    torch.testing.assert_close(exact[:, 0], model(x), rtol=0, atol=1e-9)
