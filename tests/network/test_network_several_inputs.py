"""Models of several inputs, some perturbed and others fixed."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import autodual
from autodual.errors import InvalidInputError


class Steered(nn.Module):
    """An image through a convolution, and a state vector that is added to it, multiplied with it, and added again."""

    def __init__(self) -> None:
        super().__init__()
        self.image = nn.Conv2d(2, 3, 3, stride=2, padding=1)
        self.state = nn.Linear(4, 12)
        self.head = nn.Linear(12, 3)

    def forward(self, image: Tensor, state: Tensor) -> Tensor:
        seen = torch.relu(self.image(image)).flatten(1)
        told = self.state(state)
        return self.head(torch.relu(seen + told) * torch.sigmoid(told)) + state[:, :3]


@pytest.fixture
def problem() -> tuple[Steered, Tensor, Tensor]:
    torch.manual_seed(0)
    return Steered().double(), torch.rand(3, 2, 4, 4).double(), torch.rand(3, 4).double()


def _sets() -> list[tuple[autodual.PerturbationSet | None, autodual.PerturbationSet | None]]:
    return [
        (autodual.LinfBall(0.05, (0, 1)), None),
        (None, autodual.L2Ball(0.1)),
        (autodual.L1Ball(0.2), autodual.LinfBall(torch.tensor([0.1, 0.0, 0.02]))),
        (None, None),
    ]


@pytest.mark.parametrize("slopes", ["shared", "adaptive", "optimized"])
@pytest.mark.parametrize("sets", _sets(), ids=str)
def test_bounds_hold_for_every_combination(sets, slopes, problem) -> None:
    model, image, state = problem
    dual = autodual.compile_dual(model, (image, state))
    joined = dual.model
    assert isinstance(joined, autodual.JoinedInputs)
    x, ball = joined.join(image, state), joined.ball(*sets)
    rows = torch.cat([torch.eye(3), -torch.eye(3)]).double()
    lower = dual.lower_bounds(x, ball, rows, slopes=slopes).detach()
    region = ball.at(x)
    points = torch.cat([region.sample(200, torch.Generator().manual_seed(1)), region.corners(200)])
    assert bool(region.contains(points).all())
    values = joined(points.flatten(0, 1)).unflatten(0, points.shape[:2]) @ rows.T
    assert bool((values.detach().amin(0) >= lower - 1e-10).all())
    if sets == (None, None):
        torch.testing.assert_close(lower, (model(image, state) @ rows.T).detach())


def test_a_fixed_input_acts_as_a_constant(problem) -> None:
    """The bound equals that of a model with the state as a constant."""
    model, image, state = problem

    class Held(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model
            self.register_buffer("state", state[:1])

        def forward(self, image: Tensor) -> Tensor:
            return self.inner(image, self.state.expand(image.shape[0], -1))

    rows = torch.eye(3).double()
    dual = autodual.compile_dual(model, (image, state))
    ball = autodual.LinfBall(0.05)
    found = dual.lower_bounds(dual.model.join(image[:1], state[:1]), dual.model.ball(ball, None), rows)
    expected = autodual.compile_dual(Held()).lower_bounds(image[:1], ball, rows)
    torch.testing.assert_close(found, expected, atol=1e-10, rtol=0)


def test_certificates_and_attacks_take_joined_inputs(problem) -> None:
    model, image, state = problem
    dual = autodual.compile_dual(model, (image, state))
    x, attack = dual.model.join(image, state), autodual.attacks.Pgd(steps=5)
    small, large = (dual.model.ball(autodual.LinfBall(eps), None) for eps in (1e-6, 3.0))
    assert all(found.certified for found in autodual.certify(dual, x.float(), small))
    found = autodual.certify(dual, x, large, attack=attack)
    assert "input 0: " in found[0].perturbation and "input 1: fixed" in found[0].perturbation
    for certificate, sample in zip(found, x):
        if certificate.counterexample is not None:
            assert torch.equal(certificate.counterexample[-4:], sample[-4:])


def test_inputs_that_do_not_fit_are_named(problem) -> None:
    model, image, state = problem
    dual = autodual.compile_dual(model, (image, state))
    with pytest.raises(InvalidInputError, match=r"takes inputs of the shapes \[N, 2, 4, 4\], \[N, 4\]"):
        dual.model.join(state, image)
    with pytest.raises(InvalidInputError, match="has 1 for 2 shapes"):
        dual(dual.model.join(image, state), dual.model.ball(None))
