"""Training mode means the same for every loss: batch norms update once; dropout is active, except in bounds."""

from __future__ import annotations

import copy
import warnings

import pytest
import torch
import torch.nn.functional as functional
from torch import Tensor, nn

import autodual
from autodual.errors import InvalidInputError
from autodual.network import DualNetwork
from autodual.train.epoch_randomness import random_modules
from autodual.train.losses import (
    Adversarial,
    Batch,
    Clean,
    CrownIbp,
    FgsmLoss,
    FreeLoss,
    IntervalBound,
    Loss,
    MtlIbp,
    NFgsmLoss,
    PgdLoss,
    Robust,
    SmallBoxes,
    TradesLoss,
)

BALL = autodual.LinfBall(0.05)


class RobustLoss(Loss):
    """The function `robust_loss` as a loss."""

    def __call__(self, dual, x, labels, perturbation) -> Tensor:
        return autodual.robust_loss(dual, x, labels, perturbation)

    def of(self, batch) -> Tensor:
        raise NotImplementedError


LOSSES = [
    RobustLoss(),
    Clean(),
    Robust(),
    IntervalBound(kappa=0.5),
    CrownIbp(beta=0.5),
    Adversarial(steps=1),
    SmallBoxes(steps=1),
    MtlIbp(steps=1),
    PgdLoss(steps=2),
    PgdLoss(steps=2, restarts=2, mode="evaluation"),
    FgsmLoss(),
    FgsmLoss(start="previous"),
    NFgsmLoss(),
    FreeLoss(),
    TradesLoss(steps=2),
    TradesLoss(steps=2, mode="training"),
]


class Dropping(nn.Module):
    """A batch norm, a dropout layer, and dropout as a function, without a module."""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.first, self.norm = nn.Linear(4, 8), nn.BatchNorm1d(8)
        self.drop, self.last, self.p = nn.Dropout(p), nn.Linear(8, 3), p

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.drop(self.norm(self.first(x)).relu())
        return functional.dropout(self.last(hidden), self.p, self.training)


@pytest.fixture
def dual() -> DualNetwork:
    torch.manual_seed(0)
    return autodual.compile_dual(Dropping(0.0).double())


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(6, 4, generator=generator, dtype=torch.float64), torch.arange(6) % 3


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_running_statistics_learn_once_as_in_a_pass_of_the_model(dual, batch, loss, monkeypatch) -> None:
    """From the clean batch if the loss has bounds, otherwise from the points at which the loss is taken."""
    learned = [batch[0]]
    trained = Batch.trained
    monkeypatch.setattr(Batch, "trained", lambda self, points: learned.append(points) or trained(self, points))
    twin = copy.deepcopy(dual.model).train()
    dual.train()
    loss(dual, *batch, BALL)
    assert len(learned) <= 2
    twin(learned[-1])
    for name, buffer in twin.named_buffers():
        torch.testing.assert_close(dual.model.get_buffer(name), buffer)
    assert all(module.training for module in dual.model.modules())


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_a_frozen_batch_norm_stays_frozen(dual, batch, loss) -> None:
    dual.train()
    dual.model.norm.eval()
    before = copy.deepcopy(dual.model.state_dict())
    loss(dual, *batch, BALL)
    assert all(torch.equal(value, before[name]) for name, value in dual.model.state_dict().items())
    assert not dual.model.norm.training and dual.model.training


def test_the_function_and_the_class_are_one_loss(dual, batch) -> None:
    for training in (True, False):
        dual.train(training)
        torch.testing.assert_close(autodual.robust_loss(dual, *batch, BALL), Robust()(dual, *batch, BALL))


def test_batch_statistics_can_be_chosen_whatever_the_mode(dual, batch) -> None:
    training, inference = (Robust()(dual.train(mode), *batch, BALL) for mode in (True, False))
    dual.eval()
    torch.testing.assert_close(autodual.robust_loss(dual, *batch, BALL, batch_statistics=True), training)
    dual.train()
    learned = dual.model.norm.running_mean.clone()
    found = autodual.robust_loss(dual, *batch, BALL, batch_statistics=False)
    assert not torch.isclose(training, inference) and not torch.isclose(found, training)
    assert torch.equal(dual.model.norm.running_mean, learned) and dual.model.norm.training


def test_dropout_is_active_in_losses_of_outputs_but_not_in_bounds(batch) -> None:
    torch.manual_seed(0)
    model = Dropping(0.5).double()
    whole = copy.deepcopy(model)
    whole.drop.p = whole.p = 0.0
    for one in (model, whole):
        one.norm.eval()
    dual, without = autodual.compile_dual(model), autodual.compile_dual(whole)
    for loss in (Clean(), Adversarial(steps=1)):
        assert len({float(loss(dual, *batch, BALL).detach()) for _ in range(3)}) > 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for bounded in (Robust(), IntervalBound()):
            torch.testing.assert_close(bounded(dual, *batch, BALL), bounded(without, *batch, BALL))


def test_one_warning_names_the_random_modules_that_bounds_leave_out(batch) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(Dropping(0.5), nn.Linear(3, 3)).double()
    dual = autodual.compile_dual(model)
    with pytest.warns(UserWarning, match="inference mode for '0.drop', '0'") as told:
        robust = autodual.robust_loss(dual, *batch, BALL, batch_statistics=False)
        IntervalBound()(dual, *batch, BALL)
    assert len(told) == 1 and bool(robust.isfinite())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        autodual.robust_loss(autodual.compile_dual(Dropping(0.0).double()), *batch, BALL)
        autodual.robust_loss(autodual.compile_dual(Dropping(0.5).double().eval()), *batch, BALL)


def test_looking_for_random_modules_changes_nothing(batch) -> None:
    model = Dropping(0.5).double()
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    assert set(random_modules(model, batch[0])) == {"drop", ""}
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not random_modules(model.eval(), batch[0])


def test_an_instance_norm_that_tracks_statistics_is_named(batch) -> None:
    norm = nn.Sequential(nn.Unflatten(1, (2, 2)), nn.InstanceNorm1d(2, track_running_stats=True), nn.Flatten())
    dual = autodual.compile_dual(nn.Sequential(norm, nn.Linear(4, 3)).double())
    with pytest.warns(UserWarning, match="'0.1'"):
        autodual.robust_loss(dual, *batch, BALL)


@pytest.mark.parametrize("loss", [Adversarial(steps=1), SmallBoxes(steps=1, kappa=0.5), MtlIbp(steps=1)], ids=str)
def test_an_attack_before_the_loss_takes_no_gradient_from_batch_statistics(dual, batch, loss) -> None:
    """At radius zero adversarial points are the samples, so gradients must be those of ordinary training."""
    twin = copy.deepcopy(dual.model).train()
    functional.cross_entropy(twin(batch[0]), batch[1]).backward()
    loss(dual.train(), *batch, autodual.LinfBall(0.0)).backward()
    for found, expected in zip(dual.model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(found.grad, expected.grad, atol=1e-9, rtol=1e-7)


def test_a_batch_norm_cannot_learn_from_one_sample(dual, batch) -> None:
    x, labels = batch[0][:1], batch[1][:1]
    for loss in (RobustLoss(), Clean(), IntervalBound()):
        with pytest.raises(InvalidInputError, match="'norm' cannot learn from a batch of one sample"):
            loss(dual.train(), x, labels, BALL)
        assert bool(loss(dual.eval(), x, labels, BALL).isfinite())
