"""Attacks compared with known optima, with one another, and with certificates."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import autodual
from autodual.attacks import (
    ATTACKS,
    OBJECTIVES,
    Apgd,
    Ascent,
    Attack,
    Ensemble,
    Fgsm,
    Fixed,
    Gaussian,
    KlToClean,
    Mim,
    Pgd,
    Square,
    Standard,
    Uniform,
    counterexamples,
)
from autodual.errors import InvalidInputError
from autodual.named_choices import made_by_name
from autodual.perturbations import Box, L1Ball, L2Ball, LinfBall, LpBall, WholeView
from autodual.specs import ClassMargin, Deviation, HalfSpaces
from tests.support.random_sets import subjects

WEIGHT = torch.randn(2, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
X = torch.rand(12, 1, 5, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
SMALL = [
    Fgsm(),
    *(made_by_name(ATTACKS, name, "attack") for name in ("random-fgsm", "r-fgsm")),
    Pgd(4, restarts=2, keep="first"),
    Mim(4),
    Apgd(6, 2),
    Square(15),
    Standard(4, 8),
]


def network(seed: int = 0, classes: int = 4) -> nn.Module:
    torch.manual_seed(seed)
    return (
        nn.Sequential(nn.Flatten(), nn.Linear(40, 30), nn.ReLU(), nn.Linear(30, classes)).double().requires_grad_(False)
    )


def margins(function, specification, x: Tensor, points: Tensor) -> Tensor:
    return specification.margin(specification.rows(function(x)).values(function(points).flatten(1)))


@pytest.mark.parametrize(
    "attack",
    [Fgsm(), Pgd(30), Mim(20), Mim(20, decay=0.5), *(Apgd(40, 1, name) for name in OBJECTIVES if name != "kl")],
    ids=repr,
)
@pytest.mark.parametrize("ball", [LinfBall(0.1), L2Ball(0.4), L1Ball(0.9), LpBall(3, 0.3), Box(0.2, 0.7)])
def test_white_box_attacks_reach_the_optimum_of_a_linear_classifier(attack: Attack, ball) -> None:
    def linear(z: Tensor) -> Tensor:
        return z.flatten(1) @ WEIGHT.T

    region, specification = ball.at(X), ClassMargin([0] * len(X))
    gradient = (WEIGHT[0] - WEIGHT[1]).reshape(X.shape[1:]).expand_as(X)
    optimum = region.extremes(gradient.unsqueeze(1), WholeView())[0][:, 0]
    found = margins(linear, specification, X, attack.run(linear, region, specification))
    assert (found >= optimum - 1e-12).all()
    # Ascent in an l1 ball spreads over features of almost equal weight before it settles on the largest.
    clean = margins(linear, specification, X, X)
    slack = 0.02 if isinstance(ball, L1Ball) and isinstance(attack, (Apgd, Mim)) else 1e-6
    assert (found <= optimum + slack * (clean - optimum).abs() + 1e-9).all()


@pytest.mark.parametrize("ball", [LinfBall(0.05, (0, 1)), L2Ball(0.3, (0, 1)), L1Ball(1.0, (0, 1))], ids=repr)
def test_apgd_is_at_least_as_good_as_pgd_of_as_many_gradients(ball) -> None:
    difference = 0.0
    for seed in range(3):
        model = network(seed)
        region, specification = ball.at(X), ClassMargin(model(X).argmax(1))
        fixed, adaptive = (
            margins(model, specification, X, attack.run(model, region, specification)).mean()
            for attack in (Pgd(20), Apgd(20, 1, "margin"))
        )
        difference += float(fixed - adaptive)
    assert difference >= -1e-3


@pytest.mark.parametrize("attack", SMALL, ids=repr)
@settings(max_examples=12)
@given(subject=subjects((1, 2, 3)), single=st.booleans())
def test_attacks_never_leave_a_random_set(attack: Attack, subject, single: bool) -> None:
    x = subject.x.float() if single else subject.x
    seen = []
    try:
        region = subject.ball.at(x)
    except InvalidInputError:
        return
    weight = torch.randn(6, 3, dtype=x.dtype, generator=torch.Generator().manual_seed(0))

    def function(z: Tensor) -> Tensor:
        seen.append(z.detach())
        return (z.flatten(1) @ weight).sin()

    specification = ClassMargin(function(x).argmax(1))
    seen.clear()
    points = attack.run(function, region, specification)
    assert region.contains(points).all()
    for tried in seen[1:]:
        if len(tried) == len(x):
            assert region.contains(tried).all() or torch.equal(tried, x)


@pytest.mark.parametrize("attack", SMALL, ids=repr)
def test_attacks_repeat_and_leave_the_model_alone(attack: Attack) -> None:
    model = network().requires_grad_(True).train()
    region, specification = LinfBall(0.05, (0, 1)).at(X), ClassMargin(model(X).argmax(1))
    state, torch_state = [p.clone() for p in model.parameters()], torch.get_rng_state()
    first = attack.run(model, region, specification)
    assert torch.equal(first, attack.run(model, region, specification))
    own = [attack.run(model, region, specification, torch.Generator().manual_seed(5)) for _ in range(2)]
    assert torch.equal(*own)
    assert torch.equal(torch_state, torch.get_rng_state())
    assert all(p.grad is None and torch.equal(p, kept) for p, kept in zip(model.parameters(), state))
    assert all(module.training for module in model.modules())


def test_a_black_box_attack_computes_no_gradient() -> None:
    model = network()

    def forward_only(z: Tensor) -> Tensor:
        assert not torch.is_grad_enabled()
        assert not z.requires_grad
        return model(z)

    region, specification = LinfBall(0.1, (0, 1)).at(X), ClassMargin(model(X).argmax(1))
    before = margins(model, specification, X, X)
    after = margins(model, specification, X, Square(100, keep="worst").run(forward_only, region, specification))
    assert (after < before).all()


def test_early_exit_runs_fewer_points_and_refutes_no_fewer_samples() -> None:
    model, evaluated = network(), []

    def counting(z: Tensor) -> Tensor:
        evaluated.append(len(z))
        return model(z)

    region, specification = LinfBall(0.06).at(X), ClassMargin(model(X).argmax(1))
    counts, broken = [], []
    for keep in ("worst", "first"):
        evaluated.clear()
        points = Pgd(10, restarts=2, keep=keep).run(counting, region, specification)
        counts.append(sum(evaluated))
        broken.append(counterexamples(model, region, specification, points))
    assert 0 < int(broken[0].sum()) < len(X)
    assert counts[1] < counts[0]
    assert torch.equal(broken[0], broken[1])


@pytest.mark.parametrize("ball", [LinfBall(0.3), L1Ball(9.0)], ids=repr)
def test_runs_end_once_every_sample_is_refuted(ball) -> None:
    model = network()
    region, specification = ball.at(X), ClassMargin((model(X).argmax(1) + 1) % 4)
    for attack in (Pgd(3, restarts=2, keep="first"), Apgd(3, 2, keep="first"), Square(5), Standard(3, 5)):
        points = attack.run(model, region, specification)
        assert counterexamples(model, region, specification, points).all()


def test_nan_gradients_keep_the_point() -> None:
    def broken_function(z: Tensor) -> Tensor:
        total = z.flatten(1).sum(1)
        return torch.stack([total, total * 0 + (total - total).sqrt() * 0], 1)

    region = LinfBall(0.5).at(X)
    for attack in (Pgd(3), Mim(3), Apgd(3, start="zero")):
        points = attack.run(broken_function, region, ClassMargin([0] * len(X)))
        assert torch.equal(points, X)


def test_no_sample_is_both_certified_and_refuted() -> None:
    x = X[:6]
    for seed in range(2):
        model = network(seed, classes=3)
        dual = autodual.compile_dual(model)
        for ball in (LinfBall(0.02, (0, 1)), L2Ball(0.12), L1Ball(0.4, (0, 1))):
            labels = model(x).argmax(1)
            certified = torch.tensor([c.certified for c in autodual.certify(dual, x, ball, labels)])
            region, specification = ball.at(x), ClassMargin(labels)
            points = Standard(8, 15).run(model, region, specification)
            assert not (certified & counterexamples(model, region, specification, points)).any()


def test_an_ensemble_is_as_strong_as_its_strongest_member() -> None:
    model = network(2)
    region, specification = L2Ball(0.25, (0, 1)).at(X), ClassMargin(model(X).argmax(1))
    attacks = (Fgsm(), Pgd(8, keep="first"), Square(30))
    together = Ensemble(attacks).run(model, region, specification)
    refuted = counterexamples(model, region, specification, together)
    for attack in attacks[:2]:
        alone = counterexamples(model, region, specification, attack.run(model, region, specification))
        assert not (alone & ~refuted).any()


def test_kl_is_raised_from_a_gaussian_start_and_kept_by_the_loss() -> None:
    model = network(1)
    region, specification = LinfBall(0.05).at(X), ClassMargin(model(X).argmax(1))

    def divergence(points: Tensor) -> Tensor:
        clean, other = (model(z).log_softmax(1) for z in (X, points))
        return (clean.exp() * (clean - other)).sum(1)

    def found(keep) -> Tensor:
        return Ascent(Gaussian(), KlToClean(), size=Fixed(0.3), steps=10, keep=keep).run(model, region, specification)

    sampled = torch.stack([divergence(one) for one in region.sample(50, torch.Generator().manual_seed(0))]).amax(0)
    assert (divergence(found("loss")) > sampled).all()
    assert (divergence(found("loss")) >= divergence(found("last")) - 1e-12).all()


def test_specifications_of_every_kind_can_be_attacked() -> None:
    model = network(3)
    region = LinfBall(0.1).at(X)
    for specification in (Deviation(0.05), HalfSpaces([[1.0, -1.0, 0, 0]], [0.0])):
        points = Standard(10, 20).run(model, region, specification)
        assert (margins(model, specification, X, points) <= margins(model, specification, X, X)).all()
        with pytest.raises(InvalidInputError, match="use the objective 'margin'"):
            Apgd(5).run(model, region, specification)


def test_label_maps_are_attacked_with_every_objective() -> None:
    def pixels(z: Tensor) -> Tensor:
        return torch.cat([z, 1 - z, z.square(), z.sin()], 1)

    labels = pixels(X).argmax(1)
    labels[:, 0] = -100
    region, specification = LinfBall(0.2).at(X), ClassMargin(labels)
    for name in OBJECTIVES:
        points = Apgd(5, 2, name).run(pixels, region, specification)
        assert region.contains(points).all()
        assert counterexamples(pixels, region, specification, points).any() or name == "kl"


def test_large_scores_do_not_hide_gradients_from_dlr() -> None:
    """Softmax saturates in single precision; the difference-of-logits ratio does not depend on the scale."""
    model = network(4).float()
    x = X.float()
    region, specification = LinfBall(0.06).at(x), ClassMargin(model(x).argmax(1))

    def loud(z: Tensor) -> Tensor:
        return 1e4 * model(z)

    plain, scaled = (
        counterexamples(function, region, specification, Apgd(15, 1, "dlr").run(function, region, specification))
        for function in (model, loud)
    )
    blind = Apgd(15, 1, "cross-entropy", start="zero").run(loud, region, specification)
    assert int(scaled.sum()) >= int(plain.sum()) > int(counterexamples(loud, region, specification, blind).sum())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_stays_inside(dtype: torch.dtype) -> None:
    model = network().to(dtype)
    for ball in (LinfBall(0.1, (0, 1)), L2Ball(0.5, (0, 1)), L1Ball(1.0)):
        region, specification = ball.at(X.to(dtype)), ClassMargin([0] * len(X))
        for attack in (Pgd(3), Apgd(3), Square(5)):
            points = attack.run(model, region, specification)
            assert points.dtype == dtype
            assert region.contains(points).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Apgd(objective="loss"), "'loss' is no objective of an attack; there are margin, cross-entropy"),
        (lambda: Pgd(start="here"), "'here' is no start of an attack; there are zero"),
        (lambda: made_by_name(ATTACKS, "pgd:keep=best", ""), "keeps one of worst, first, first-together, loss, last"),
        (lambda: Square(share=math.nan), "must be above 0 and at most 1, but is nan"),
        (lambda: Ensemble(()), "made of one or more attacks"),
        (lambda: Ascent(wide=(2.0, 0.5)), "up to three finite factors of at least 1"),
        (lambda: Ascent(wide=(4.0, 3.0, 2.0, 1.5)), "up to three finite factors of at least 1"),
        (lambda: Uniform() and Fixed(0.0), "must be positive and finite, but is 0.0"),
    ],
)
def test_options_are_checked(make, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        make()


def test_attacks_are_made_from_their_command_line_spelling() -> None:
    assert made_by_name(ATTACKS, "apgd:steps=7,objective=dlr,keep=first", "attack") == Apgd(7, 1, "dlr", keep="first")
    assert made_by_name(ATTACKS, "standard:steps=5,queries=9", "attack") == Standard(5, 9)
