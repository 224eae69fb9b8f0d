"""Attacks find existing counterexamples, never leave the region, and leave the network as it was."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor, nn

from autodual.attacks import Fgsm, GradientAttack, Pgd, Square, Standard, broken, counterexamples
from autodual.errors import InvalidInputError
from autodual.evaluation import masking_signs
from autodual.perturbations import Box, L1Ball, L2Ball, LinfBall, LpBall, PerturbationSet, Union, WholeView
from autodual.specs import ClassMargin, Deviation, Formula, HalfSpaces

SETS = {
    "linf": LinfBall(0.2),
    "linf-clipped": LinfBall(0.2, (0, 1)),
    "box": Box(0.0, 1.0),
    "l2": L2Ball(0.5),
    "l2-clipped": L2Ball(0.5, (0, 1)),
    "l1": L1Ball(0.8),
    "l1-clipped": L1Ball(0.8, (0, 1)),
    "l3": LpBall(3, 0.4),
    "l3-clipped": LpBall(3, 0.4, (0, 1)),
}
ATTACKS = [Fgsm(), Pgd(steps=20), Pgd(steps=5, step_size=0.5, restarts=3, seed=4)]
WEIGHT = torch.randn(2, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
X = torch.rand(5, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def linear(z: Tensor) -> Tensor:
    return z.flatten(1) @ WEIGHT.T


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(6, 20), nn.ReLU(), nn.Linear(20, 4)).double()


def margin_at(function, specification, x: Tensor, points: Tensor) -> Tensor:
    return specification.margin(specification.rows(function(x)).values(function(points)))


@pytest.mark.parametrize("attack", ATTACKS, ids=repr)
@pytest.mark.parametrize("perturbation", SETS.values(), ids=SETS.keys())
def test_attacks_find_the_optimum_of_a_linear_function(attack: GradientAttack, perturbation: PerturbationSet):
    region, specification = perturbation.at(X), HalfSpaces([[1.0, -1.0]], [0.0])
    points = attack.run(linear, region, specification)
    assert region.contains(points).all()
    gradient = (WEIGHT[0] - WEIGHT[1]).reshape(2, 3).expand_as(X)
    ascent = (region.steepest(-gradient) * gradient).flatten(1).sum(1)
    lowest = region.extremes(gradient.unsqueeze(1), WholeView())[0][:, 0]
    found = margin_at(linear, specification, X, points)
    assert (found >= lowest - 1e-12).all()
    assert (found <= ascent + 0.05 * (linear(X) @ torch.tensor([1.0, -1.0]).double() - ascent) + 1e-9).all()


@pytest.mark.parametrize("attack", ATTACKS, ids=repr)
@pytest.mark.parametrize("perturbation", SETS.values(), ids=SETS.keys())
def test_attacks_stay_inside_and_never_raise_the_margin(attack, perturbation):
    # In single precision, rounding is most likely to push points out of the region.
    model, x = network().float(), X.float()
    region, specification = perturbation.at(x), ClassMargin(model(x).argmax(1))
    points = attack.run(model, region, specification)
    assert points.dtype == torch.float32
    assert not points.requires_grad
    assert region.contains(points).all()
    assert (margin_at(model, specification, x, points) <= margin_at(model, specification, x, x)).all()


def test_pgd_finds_what_one_step_misses():
    """The worst point lies in a valley inside the set, and one full step along the gradient jumps over it."""

    def valley(z: Tensor) -> Tensor:
        return (z.flatten(1) - 0.1).abs().sum(1, keepdim=True)

    region, specification = LinfBall(0.5).at(torch.zeros(1, 4, dtype=torch.float64)), Formula("y0 > 0.2")
    one, many = (attack.run(valley, region, specification) for attack in (Fgsm(), Pgd(steps=100)))
    assert not counterexamples(valley, region, specification, one).any()
    assert counterexamples(valley, region, specification, many).all()


def test_restarts_never_hurt_and_seeds_repeat():
    model = network(3)
    region, specification = LinfBall(0.4).at(X), ClassMargin(model(X).argmax(1))
    single, several = (Pgd(steps=5, restarts=n).run(model, region, specification) for n in (1, 6))
    better = margin_at(model, specification, X, several)
    assert (better <= margin_at(model, specification, X, single)).all()
    assert torch.equal(several, Pgd(steps=5, restarts=6).run(model, region, specification))
    generator = torch.Generator().manual_seed(7)
    expected = Pgd(steps=5, restarts=6, seed=7).run(model, region, specification)
    assert torch.equal(Pgd(steps=5, restarts=6).run(model, region, specification, generator), expected)


def test_samples_do_not_influence_each_other():
    model = network(1)
    specification = ClassMargin(model(X).argmax(1))
    region = L2Ball(torch.linspace(0, 1, 5), (0, 1)).at(X)
    together = Pgd(steps=5).run(model, region, specification)
    for sample in range(5):
        index = torch.tensor([sample])
        alone = Pgd(steps=5).run(model, region.select(index), specification.select(index))
        torch.testing.assert_close(alone, together[index])


def test_counterexamples_are_checked_again():
    region, specification = LinfBall(0.2).at(X), Deviation(0.05)
    points = Pgd().run(linear, region, specification)
    assert counterexamples(linear, region, specification, points).all()
    assert not counterexamples(linear, region, specification, X).any()
    assert not counterexamples(linear, region, specification, points + 1).any()
    assert not counterexamples(linear, region, specification, points * math.nan).any()
    assert not counterexamples(lambda z: linear(z) * math.nan, region, specification, points).any()


def test_a_tie_is_no_counterexample():
    def constant(z: Tensor) -> Tensor:
        return z.new_ones(len(z), 2)

    region, specification = LinfBall(0.2).at(X), ClassMargin([0] * 5)
    points = Pgd(steps=2).run(constant, region, specification)
    assert torch.equal(points, X)
    assert not counterexamples(constant, region, specification, points).any()


def test_functions_with_infinite_gradients_keep_points_finite():
    def rough(z: Tensor) -> Tensor:
        return torch.stack([z.flatten(1).relu().sqrt().sum(1), (z.flatten(1) - 0.1).log().sum(1)], 1)

    region = LinfBall(0.5, (0, 1)).at(X.clamp(max=0.0))
    points = Pgd(steps=5).run(rough, region, ClassMargin([0] * 5))
    assert region.contains(points).all()


@pytest.mark.parametrize("training", [True, False])
def test_the_network_is_left_as_it_was(training):
    model = network().train(training)
    with torch.no_grad():
        Pgd(steps=3).run(model, LinfBall(0.1).at(X), ClassMargin([0] * 5))
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(module.training == training for module in model.modules())
    assert torch.is_grad_enabled()


class Learning(nn.Module):
    """Counts its runs in place, and remembers the last batch's mean in a new tensor, as normalisations may do."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(4))
        self.register_buffer("runs", torch.zeros(()))

    def forward(self, x):
        if self.training:
            self.mean = x.detach().mean(0)
            self.runs += 1
        return x - self.mean


@pytest.mark.parametrize("inference", [True, False])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("union", [True, False])
def test_attacks_teach_a_network_nothing(union, training, inference):
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 4), Learning()).double().train(training)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    ball = Union(LinfBall(0.1), L2Ball(0.2)) if union else LinfBall(0.1)
    region, labels = ball.at(X), [0] * len(X)
    with torch.inference_mode(inference):
        for attack in (Pgd(steps=3), Square(queries=3), Standard(steps=3, queries=3)):
            broken(model, region, labels, attack)
            attack.run(model, LinfBall(0.1).at(X), ClassMargin(labels))
        masking_signs(model, LinfBall(0.1).at(X), labels, Pgd(steps=3), samples=4)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_an_attack_may_define_its_step_and_its_starts_instead_of_an_ascent():
    """Such attacks were written before attacks were composed of parts; they keep working."""

    @dataclass(frozen=True)
    class Halfway(GradientAttack):
        length: float = 0.5
        steps: int = 12
        random_seed = 3

        @property
        def starts(self) -> int:
            return 2

        def step(self, region, points: Tensor, ascent: Tensor) -> Tensor:
            return points + self.length * (region.steepest(ascent) - points)

    model, region = network(1), LinfBall(0.3, (0, 1)).at(X)
    specification = ClassMargin(model(X).argmax(1))
    points = Halfway().run(model, region, specification)
    assert region.contains(points).all()
    assert torch.equal(points, Halfway().run(model, region, specification))
    again = Pgd(12, restarts=2, seed=3).run(model, region, specification)
    reached, usual = (margin_at(model, specification, X, found) for found in (points, again))
    torch.testing.assert_close(reached, usual, atol=0.05, rtol=0.05)

    # One step of length 1 towards the linear optimum is a fast gradient sign step, to the last bit.
    jump = replace(Halfway(), length=1.0, steps=1)
    goal = HalfSpaces([[1.0, -1.0]], [0.0])
    assert torch.equal(jump.run(linear, region, goal), Fgsm().run(linear, region, goal))


def test_an_attack_that_defines_too_little_says_what():
    class Unfinished(GradientAttack):
        steps, starts = 3, 1

    with pytest.raises(InvalidInputError, match="Unfinished must define `ascent`, or else random_seed and step too"):
        Unfinished().run(linear, LinfBall(0.1).at(X), ClassMargin([0] * 5))


def test_samples_outside_the_region_start_inside():
    region = LinfBall(0.2, (0, 1)).at(X + 0.15)
    points = Fgsm().run(linear, region, HalfSpaces([[0.0, 0.0 + 1e-30]], [1.0]))
    assert region.contains(points).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "needs steps and restarts, but has 0 and 1"),
        ({"restarts": 0}, "needs steps and restarts, but has 40 and 0"),
        ({"step_size": 0.0}, "must be positive and finite, but is 0.0"),
        ({"step_size": math.nan}, "must be positive and finite, but is nan"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(InvalidInputError, match=message):
        Pgd(**options)
