"""Adapters to and from torchattacks: with small stand-ins, and with the package itself where it is installed."""

from __future__ import annotations

import copy
import random

import numpy
import pytest
import torch
from torch import Tensor, nn

import autodual
from autodual.adapters import TorchattacksAttack, from_torchattacks
from autodual.attacks import Apgd, Pgd, Square, Standard, attack_members, broken
from autodual.errors import InvalidInputError
from autodual.specs import ClassMargin, Deviation

X = torch.rand(12, 1, 4, 4, generator=torch.Generator().manual_seed(0))
BALL = autodual.LinfBall(0.1, domain=(0, 1))


def network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 24), nn.ReLU(), nn.Linear(24, 4)).eval().requires_grad_(False)


MODEL = network()
LABELS = MODEL(X).argmax(1)


class Stray:
    """A sign step with torchattacks' interface: it starts at random and moves by `factor` times its radius."""

    def __init__(self, model: nn.Module, eps: float = 0.1, factor: float = 1.0, parts: tuple = ()):
        self.model, self.eps, self.alpha, self.factor = model, eps, eps / 4, factor
        self._attacks = dict(enumerate(parts))

    def __call__(self, images: Tensor, labels: Tensor) -> Tensor:
        points = (images + 1e-3 * torch.randn_like(images)).requires_grad_()
        loss = nn.functional.cross_entropy(self.model(points), labels)
        return images + self.factor * self.eps * torch.autograd.grad(loss, points)[0].sign()


def test_our_attack_called_as_a_torchattacks_attack_finds_the_same_points() -> None:
    attack = TorchattacksAttack(MODEL, Pgd(10), BALL)
    found = attack(X, LABELS)
    assert torch.equal(found, Pgd(10).run(MODEL, BALL.at(X), ClassMargin(LABELS)))
    assert torch.equal(found, attack(X)), "without labels, the predicted classes are attacked"
    assert attack.attack == "Pgd" and attack.model is MODEL and attack.get_mode() == "default"


def test_normalised_images_are_attacked_in_units_of_images() -> None:
    mean, std = [0.2], [0.5]
    attack = TorchattacksAttack(nn.Sequential(Scaled(0.5, 0.2), MODEL), Pgd(10), BALL)
    attack.set_normalization_used(mean, std)
    found = attack((X - 0.2) / 0.5, LABELS)
    plain = TorchattacksAttack(MODEL, Pgd(10), BALL)(X, LABELS)
    assert torch.allclose(found * 0.5 + 0.2, plain, atol=1e-5)


class Scaled(nn.Module):
    def __init__(self, factor: float, offset: float):
        super().__init__()
        self.factor, self.offset = factor, offset

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x + self.offset


def test_the_model_is_in_evaluation_mode_while_attacked_and_as_before_afterwards() -> None:
    modes = []

    class Watching(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            modes.append(self.training)
            return MODEL(x)

    model = Watching().train()
    TorchattacksAttack(model, Pgd(2), BALL)(X, LABELS)
    assert model.training
    assert not any(modes)


@pytest.mark.parametrize("search", [Pgd(20), Standard(10, 20)], ids=repr)
def test_targeted_modes_aim_at_classes(search) -> None:
    attack = TorchattacksAttack(MODEL, search, autodual.LinfBall(0.6, domain=(0, 1)))
    targets = (LABELS + 1) % 4
    attack.set_mode_targeted_by_label(quiet=True)
    reached = MODEL(attack(X, targets)).argmax(1)
    assert (reached == targets).float().mean() > 0.8
    attack.set_mode_targeted_by_function(lambda images, labels: (labels + 1) % 4)
    assert torch.equal(MODEL(attack(X, LABELS)).argmax(1), reached)
    attack.set_mode_default()
    assert attack.get_mode() == "default" and not attack.targeted


def test_least_likely_and_random_targets() -> None:
    """The scores are the inputs themselves, so that every class can be reached."""
    x = X[:, 0, 0]
    attack, labels = TorchattacksAttack(nn.Identity(), Pgd(20), autodual.LinfBall(1.0, domain=(0, 1))), x.argmax(1)
    for place in (1, 2):
        attack.set_mode_targeted_least_likely(place)
        assert torch.equal(attack(x, labels).argmax(1), x.argsort(1)[:, place - 1])
    attack.set_mode_targeted_random()
    assert attack.get_mode() == "targeted(random)"
    reached = torch.stack([attack(x, labels).argmax(1) for _ in range(5)])
    assert (reached != labels).all()
    assert (reached != reached[0]).any(), "targets are drawn anew at each call"
    with pytest.raises(InvalidInputError, match="counts from 1"):
        attack.set_mode_targeted_least_likely(0)
    attack.set_mode_targeted_least_likely(x.shape[1])  # that would be the label itself
    with pytest.raises(InvalidInputError, match=f"kth_min may be 1 to {x.shape[1] - 1}"):
        attack(x, labels)


def test_each_member_of_a_union_is_searched() -> None:
    """The l1 ball reaches the other class by one feature, the l∞ ball by none."""
    x, labels = torch.tensor([[0.9, 0.1, 0.5]]), torch.tensor([0])
    union = autodual.Union(autodual.LinfBall(0.05, domain=(0, 1)), autodual.L1Ball(0.9, domain=(0, 1)))
    points = TorchattacksAttack(nn.Identity(), Pgd(20), union)(x, labels)
    assert points.argmax(1).item() != 0 and bool(union.at(x).contains(points).all())


def test_objectives_that_need_labels_are_refused_in_targeted_modes() -> None:
    attack = TorchattacksAttack(MODEL, Apgd(5), BALL)
    attack.set_mode_targeted_by_label()
    with pytest.raises(InvalidInputError, match="use the objective 'margin'"):
        attack(X, LABELS)


@pytest.mark.parametrize("ball", [BALL, autodual.L2Ball(0.1, domain=(0, 1)), autodual.L1Ball(0.1)], ids=repr)
def test_points_of_a_torchattacks_attack_are_projected_into_the_set(ball) -> None:
    region = ball.at(X)
    points = from_torchattacks(Stray(MODEL, factor=30)).run(MODEL, region, ClassMargin(LABELS))
    assert region.contains(points).all()
    assert not torch.equal(points, X)


def test_a_torchattacks_attack_searches_the_function_it_is_run_on() -> None:
    other = network(1)
    labels = other(X).argmax(1)
    attack = Stray(MODEL)
    ours, of_its_own = from_torchattacks(attack), from_torchattacks(Stray(other))
    region = BALL.at(X)
    assert torch.equal(ours.run(other, region, ClassMargin(labels)), of_its_own.run(other, region, ClassMargin(labels)))
    assert attack.model is MODEL


def test_points_that_are_worse_or_nan_are_replaced_by_the_samples() -> None:
    """Where an attack raises the margin or gives NaN, the samples themselves are kept."""
    away, broken_one = Stray(MODEL, factor=-1), Stray(MODEL, factor=float("nan"))
    region, goal = BALL.at(X), ClassMargin(LABELS)
    clean = goal.margin(goal.rows(MODEL(X)).values(MODEL(X)))
    for attack in (away, broken_one):
        points = from_torchattacks(attack).run(MODEL, region, goal)
        assert (goal.margin(goal.rows(MODEL(X)).values(MODEL(points))) <= clean).all()
        assert region.contains(points).all()


def test_random_numbers_are_reproducible_and_global_generators_unchanged() -> None:
    states = torch.get_rng_state(), numpy.random.get_state()[1].tolist(), random.getstate()
    region, goal = BALL.at(X), ClassMargin(LABELS)
    attack = from_torchattacks(Stray(MODEL), seed=3)
    assert torch.equal(attack.run(MODEL, region, goal), attack.run(MODEL, region, goal))
    attack.run(MODEL, region, goal, torch.Generator().manual_seed(1))
    assert torch.equal(torch.get_rng_state(), states[0])
    assert numpy.random.get_state()[1].tolist() == states[1] and random.getstate() == states[2]


def test_radii_must_agree_or_are_set_in_a_copy() -> None:
    region, goal = BALL.at(X), ClassMargin(LABELS)
    part = Stray(MODEL, 0.2)
    attack = Stray(MODEL, 0.2, parts=(part,))
    with pytest.raises(InvalidInputError, match=r"eps=0\.2, but the set the radius 0\.1; make it with eps=0\.1"):
        from_torchattacks(attack).run(MODEL, region, goal)
    resized = from_torchattacks(attack, resize=True).run(MODEL, region, goal)
    assert torch.equal(resized, from_torchattacks(Stray(MODEL, 0.1)).run(MODEL, region, goal))
    assert (attack.eps, attack.alpha, part.eps) == (0.2, 0.05, 0.2)
    with pytest.raises(InvalidInputError, match="make it with eps"):
        from_torchattacks(Stray(MODEL, 0.1, parts=(part,))).run(MODEL, region, goal)


def test_step_sizes_are_resized_with_the_radius() -> None:
    seen = []

    class Telling(Stray):
        def __call__(self, images, labels):
            seen.append((self.eps, self.alpha))
            return images

    from_torchattacks(Telling(MODEL, 0.4), resize=True).run(MODEL, BALL.at(X), ClassMargin(LABELS))
    assert seen == [pytest.approx((0.1, 0.025))]


def test_other_types_specifications_and_sets_are_refused() -> None:
    goal = ClassMargin(LABELS)
    with pytest.raises(InvalidInputError, match="not a str"):
        from_torchattacks("PGD")
    attack = from_torchattacks(Stray(MODEL))
    with pytest.raises(InvalidInputError, match="one label for each sample"):
        attack.run(MODEL, BALL.at(X), Deviation(0.1))
    with pytest.raises(InvalidInputError, match="search norm balls"):
        attack.run(MODEL, autodual.Box(0, 1).at(X), goal)
    with pytest.raises(InvalidInputError, match=r"several, from 0\.1 to 0\.2"):
        attack.run(MODEL, autodual.LinfBall([0.1] * 6 + [0.2] * 6).at(X), goal)
    with pytest.raises(InvalidInputError, match="keep inputs in"):
        attack.run(MODEL, autodual.LinfBall(0.1).at(255 * X), goal)
    other = copy.copy(attack.attack)
    other.norm = "L2"
    with pytest.raises(InvalidInputError, match="searches L2 balls"):
        from_torchattacks(other).run(MODEL, BALL.at(X), goal)


def test_unions_are_searched_one_member_at_a_time() -> None:
    union = autodual.Union(BALL, autodual.L2Ball(0.1))
    attack = from_torchattacks(Stray(MODEL), resize=True)
    points = attack_members(attack, MODEL, union.at(X), ClassMargin(LABELS))
    assert union.at(X).contains(points).all()


def test_torchattacks_attacks_find_the_same_through_the_adapter() -> None:
    torchattacks = pytest.importorskip("torchattacks")
    ball = autodual.LinfBall(0.25, domain=(0, 1))
    theirs = torchattacks.PGD(MODEL, eps=0.25, alpha=0.05, steps=10)
    ours = from_torchattacks(theirs)
    torch.manual_seed(0)
    alone = MODEL(theirs(X, LABELS)).argmax(1) != LABELS
    assert torch.equal(broken(MODEL, ball.at(X), LABELS, ours), alone)
    assert alone.any() and not alone.all()
    several = torchattacks.AutoAttack(MODEL, eps=0.25, n_classes=4)
    assert (broken(MODEL, ball.at(X[:4]), LABELS[:4], from_torchattacks(several)) >= alone[:4]).all()


def test_the_package_can_combine_our_attacks() -> None:
    torchattacks = pytest.importorskip("torchattacks")
    attacks = [TorchattacksAttack(MODEL, search, BALL) for search in (Pgd(5), Square(20))]
    both = MODEL(torchattacks.MultiAttack(attacks)(X, LABELS)).argmax(1) != LABELS
    assert torch.equal(both, broken(MODEL, BALL.at(X), LABELS, Pgd(5)) | broken(MODEL, BALL.at(X), LABELS, Square(20)))
