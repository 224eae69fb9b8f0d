"""Objectives' gradients by the outputs are autograd's, and what an ascent keeps does not depend on when it judges."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from autodual.attacks import (
    OBJECTIVES,
    Ascent,
    CrossEntropy,
    Fixed,
    Objective,
    Scattered,
    Sign,
    Uniform,
    seen,
)
from autodual.attacks.kept import Kept
from autodual.attacks.objectives import rise
from autodual.attacks.problem import Problem
from autodual.perturbations import L1Ball, L2Ball, LinfBall, PerturbationSet
from autodual.specs import ClassMargin, TopK
from autodual.train.mixed_labels import MixedLabels, MixedMargin

LABELS = {
    "plain": torch.tensor([0, 2, -100, 1]),
    "pixels": torch.tensor([[0, 2, -100], [1, 1, 0], [-100, -100, -100], [2, 0, 1]]),
}


@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.parametrize("name", ["cross-entropy", "margin", "dlr", "targeted", "targeted-dlr", "kl"])
def test_slopes_are_autograds(name: str, kind: str) -> None:
    labels = LABELS[kind]
    shape = (4, 3, *labels.shape[1:])
    outputs = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    region = LinfBall(0.1).at(outputs)
    problem = Problem.of(lambda z: z * 1.5, region, ClassMargin(labels))
    values = outputs.flatten(1).requires_grad_()
    expected = OBJECTIVES[name].loss(problem, values)
    (slope,) = torch.autograd.grad(expected.sum(), values)
    found, found_slope = rise(OBJECTIVES[name], problem, values.detach())
    torch.testing.assert_close(found, expected.detach(), equal_nan=True)
    torch.testing.assert_close(found_slope.nan_to_num(), slope.nan_to_num(), rtol=1e-12, atol=1e-12)


def test_the_slope_of_the_cross_entropy_is_exact_where_its_softmax_rounds_to_one() -> None:
    outputs = torch.tensor([[30.0, 1.0, 0.0]])
    problem = Problem.of(lambda z: z, LinfBall(0.1).at(outputs), ClassMargin(torch.tensor([0])))
    _, slope = CrossEntropy().rise(problem, outputs)
    precise = outputs.double().softmax(1)
    expected = torch.stack([-precise[0, 1:].sum(), *precise[0, 1:]])
    torch.testing.assert_close(slope[0].double(), expected, rtol=1e-5, atol=0)


def test_an_objective_that_does_not_look_has_slope_zero() -> None:
    class Blind(Objective):
        def loss(self, problem: Problem, outputs: Tensor) -> Tensor:
            return torch.zeros(len(outputs))

    x = torch.rand(2, 3)
    problem = Problem.of(lambda z: z, LinfBall(0.1).at(x), ClassMargin(torch.tensor([0, 1])))
    assert not rise(Blind(), problem, x)[1].any()


@pytest.mark.parametrize("keep", ["worst", "loss", "first"])
@pytest.mark.parametrize(
    "ball", [LinfBall(0.2, (0, 1)), L2Ball(0.5, (0, 1)), L1Ball(1.0, (0, 1))], ids=lambda b: type(b).__name__
)
def test_what_is_kept_does_not_depend_on_when_it_is_judged(
    ball: PerturbationSet, keep: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 4)).double()
    x = torch.rand(9, 12, dtype=torch.float64)
    region, goal = ball.at(x), ClassMargin(model(x).argmax(1))
    attack = Ascent(Uniform(), CrossEntropy(), Sign(), Fixed(0.3), 21, 2, keep)  # type: ignore[arg-type]
    found = attack.run(model, region, goal)
    monkeypatch.setattr(seen, "_STEPS", 1)
    assert torch.equal(found, attack.run(model, region, goal))


def test_points_of_large_inputs_do_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[int] = []
    update = Kept.update
    monkeypatch.setattr(
        Kept, "update", lambda kept, points, *rest: counts.append(len(points)) or update(kept, points, *rest)
    )
    monkeypatch.setattr(seen, "_NUMBERS", 10)
    x = torch.rand(2, 12)
    Ascent(Scattered(), steps=5).run(lambda z: z[:, :3], LinfBall(0.1).at(x), ClassMargin(torch.tensor([0, 1])))
    assert counts == [1] * 6


@pytest.mark.parametrize("kind", LABELS)
def test_outputs_that_refute_are_suspected(kind: str) -> None:
    labels, generator = LABELS[kind], torch.Generator().manual_seed(0)
    odd = torch.tensor([torch.inf, -torch.inf, torch.nan, 0.0])
    mixed = MixedMargin.of(MixedLabels.of(labels).mixed(0.4, torch.arange(3, -1, -1)), 1)
    for goal in (ClassMargin(labels), TopK(labels, 2), mixed):
        for _ in range(40):
            outputs = torch.randn((4, 3, *labels.shape[1:]), generator=generator)
            place = torch.rand(outputs.shape, generator=generator) < 0.2
            outputs[place] = odd[torch.randint(4, (int(place.sum()),), generator=generator)]
            rows, flattened = goal.rows(outputs.nan_to_num()), outputs.flatten(1)
            suspects = goal.suspects(rows, flattened).reshape(4, -1).any(1)
            assert (suspects | ~(goal.margin_of(rows, flattened) < 0)).all()
