"""Losses over unions of sets: the maximum or the average over the members."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as functional
from torch import nn

import autodual
from autodual.attacks import Msd
from autodual.errors import InvalidInputError
from autodual.train.losses import (
    Adversarial,
    Batch,
    CrownIbp,
    IntervalBound,
    MtlIbp,
    MultiSteepest,
    Regularised,
    Robust,
    SmallBoxes,
)

BALLS = (autodual.LinfBall(0.1), autodual.L2Ball(0.22), autodual.L1Ball(0.4))
UNION = autodual.Union(*BALLS)


@pytest.fixture(scope="module")
def dual() -> autodual.DualNetwork:
    torch.manual_seed(0)
    return autodual.compile_dual(nn.Sequential(nn.Linear(6, 10), nn.ReLU(), nn.Linear(10, 3)).double().eval())


@pytest.fixture(scope="module")
def samples() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(20, 6, dtype=torch.float64, generator=generator), torch.arange(20) % 3


def _of(loss, dual, samples, ball) -> torch.Tensor:
    torch.manual_seed(5)  # the seed of attacks
    return loss.of(Batch.of(dual, *samples, ball))


@pytest.mark.parametrize(
    "kind",
    [Robust, IntervalBound, CrownIbp, lambda **options: CrownIbp(beta=0.5, **options)],
    ids=["robust", "interval", "crown-ibp", "mixed"],
)
def test_bounded_losses_are_the_worst_or_the_average_of_the_members(kind, dual, samples) -> None:
    single = torch.stack([_of(kind(), dual, samples, ball) for ball in BALLS])
    assert torch.equal(_of(kind(), dual, samples, UNION), single.amax(0))
    torch.testing.assert_close(_of(kind(union="average"), dual, samples, UNION), single.mean(0))
    clean = functional.cross_entropy(dual.outputs(samples[0]), samples[1], reduction="none")
    mixed = _of(kind(kappa=0.3), dual, samples, UNION)
    torch.testing.assert_close(mixed, 0.3 * clean + 0.7 * single.amax(0))


@pytest.mark.parametrize("loss", [Adversarial(steps=3), SmallBoxes(steps=2)], ids=str)
def test_losses_of_attacks_are_the_worst_or_the_average_of_the_members(loss, dual, samples) -> None:
    single = torch.stack([_of(loss, dual, samples, ball) for ball in BALLS])
    torch.testing.assert_close(_of(loss, dual, samples, UNION), single.amax(0))
    torch.testing.assert_close(_of(replace(loss, union="average"), dual, samples, UNION), single.mean(0))


def test_mixtures_mix_the_losses_of_the_union(dual, samples) -> None:
    for union in ("worst", "average"):
        attacked = _of(Adversarial(steps=2, union=union), dual, samples, UNION)
        bound = _of(IntervalBound(union=union), dual, samples, UNION)
        mixed = _of(MtlIbp(steps=2, alpha=0.3, union=union), dual, samples, UNION)
        torch.testing.assert_close(mixed, 0.7 * attacked + 0.3 * bound)


@pytest.mark.parametrize("start, restarts", [("zero", 1), ("outward", 3)])
def test_multi_steepest_descent_is_trained_on_its_own_points(start, restarts, dual, samples) -> None:
    x, labels = samples
    found = _of(MultiSteepest(4, restarts, start=start), dual, samples, UNION)
    torch.manual_seed(5)
    attack, wanted = Msd(4, restarts=restarts, start=start), autodual.specs.ClassMargin(labels)
    generator = torch.Generator().manual_seed(int(torch.randint(2**62, ())))
    points = attack.run(dual.outputs, UNION.at(x), wanted, generator)
    expected = functional.cross_entropy(dual.outputs(points), labels, reduction="none")
    torch.testing.assert_close(found, expected)
    bound = _of(Robust(), dual, samples, UNION)
    assert bool((found <= bound + 1e-9).all()), "no point of the union has a loss above the bound"


def test_the_robust_loss_is_that_of_the_worst_member(dual, samples) -> None:
    x, labels = samples
    single = torch.stack([autodual.robust_loss(dual, x, labels, ball, reduction="none") for ball in BALLS])
    torch.testing.assert_close(autodual.robust_loss(dual, x, labels, UNION), single.amax(0).mean())
    torch.testing.assert_close(autodual.robust_loss(dual, x, labels, UNION, reduction="none"), single.amax(0))
    torch.testing.assert_close(autodual.robust_loss(dual, x, labels, UNION, union="average"), single.mean())
    assert len(single.argmax(0).unique()) > 1
    points = UNION.at(x).sample(50, torch.Generator().manual_seed(0))
    losses = torch.stack([functional.cross_entropy(dual.outputs(some), labels, reduction="none") for some in points])
    assert bool((losses.amax(0) <= single.amax(0)).all())
    with pytest.raises(InvalidInputError, match="union"):
        autodual.robust_loss(dual, x, labels, UNION, union="best")  # type: ignore[arg-type]


def test_gradients_are_those_of_the_worst_members(dual, samples) -> None:
    x, labels = samples
    weight = next(iter(dual.parameters()))
    (found,) = torch.autograd.grad(Robust()(dual, x, labels, UNION), weight)
    single = torch.stack([_of(Robust(), dual, samples, ball) for ball in BALLS])
    (expected,) = torch.autograd.grad(single.amax(0).mean(), weight)
    torch.testing.assert_close(found, expected)


def test_batch_norms_learn_once_from_a_batch_however_many_members(samples) -> None:
    x, labels = samples
    attacking = Adversarial(steps=1), MultiSteepest(steps=1), SmallBoxes(steps=1)
    for loss in (Robust(), Regularised(CrownIbp(beta=0.5)), *attacking):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)).double()
        dual = autodual.compile_dual(model)
        model.train()
        loss(dual, x, labels, UNION).backward()
        assert int(model[1].num_batches_tracked) == 1
        assert all(parameter.grad is not None for parameter in model.parameters())
