"""The optimiser's options: which parameters decay, the l1 penalty of the weights, and both forms of momentum."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
import torch
from support.tiny_training import tiny_training
from torch import nn

from autodual.train.optimisation import Penalty, affine_weights, make_optimiser
from autodual.train.recipe import OptimiserSection
from autodual.train.weight_average import Average


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.last = nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(2, 3)
        self.table = nn.Parameter(torch.ones(2, 2))  # has two axes, but belongs to no affine layer


@pytest.mark.parametrize(
    ("decayed", "names"),
    [
        ("matrices", {"conv.weight", "last.weight", "table"}),
        ("affine", {"conv.weight", "last.weight"}),
        ("all", {name for name, _ in Net().named_parameters()}),
    ],
)
def test_weight_decay_applies_to_the_chosen_parameters(decayed, names) -> None:
    model = Net()
    optimiser = make_optimiser(model, OptimiserSection(weight_decay=0.1, decayed=decayed))
    decays = {id(p): group["weight_decay"] for group in optimiser.param_groups for p in group["params"]}
    assert len(decays) == len(list(model.parameters()))
    assert {name for name, p in model.named_parameters() if decays[id(p)]} == names


def test_momentum_may_be_nesterovs_or_classical() -> None:
    for nesterov, momentum, expected in ((True, 0.9, True), (False, 0.9, False), (True, 0.0, False)):
        section = OptimiserSection("sgd", nesterov=nesterov, momentum=momentum)
        assert make_optimiser(Net(), section).param_groups[0]["nesterov"] is expected


def test_the_penalty_has_the_gradient_of_the_sum_of_absolute_values() -> None:
    torch.manual_seed(0)
    model = Net()
    with torch.no_grad():
        model.last.weight[0] = 0.0  # where PyTorch's own gradient of |w| is 0
    penalty = Penalty(model, 0.3)
    penalty.add_gradients()
    expected = torch.autograd.grad(
        0.3 * sum(weight.abs().sum() for weight in affine_weights(model)), [model.conv.weight, model.last.weight]
    )
    for weight, gradient in zip((model.conv.weight, model.last.weight), expected):
        torch.testing.assert_close(weight.grad, gradient)
    assert model.table.grad is None and model.last.bias.grad is None


def test_the_penalty_is_part_of_the_step(tmp_path: Path) -> None:
    values = {
        "data": {"hold_out": 8},
        "loss": "clean",
        "scheduled": {},
        "learning_rate": 0.5,
        "network": {"arch": "mlp:4"},
    }
    plain, penalised = (
        tiny_training(tmp_path / str(l1), optimiser={"kind": "sgd", "momentum": 0.0, "l1": l1}, **values)
        for l1 in (0.0, 0.25)
    )
    weights = [weight.detach().clone() for weight in affine_weights(plain.network)]
    for training in (plain, penalised):
        training.step()
    for one, other, before in zip(*map(affine_weights, (plain.network, penalised.network)), weights, strict=True):
        torch.testing.assert_close(other, one - 0.5 * 0.25 * before.sign())


@pytest.mark.parametrize("decay", [1.0, 0.2])
def test_an_average_begins_after_its_epoch(decay) -> None:
    """Of weights 1 to 5, half an epoch each, the last three count."""
    model = nn.Linear(1, 1)
    average = Average(model, decay, begin=1.0)
    for step in range(5):
        with torch.no_grad():
            model.weight.fill_(float(step + 1))
        average.update(model, (step + 1) / 2)
        if step < 2:
            assert torch.equal(average.tensors["weight"], model.weight)
    kept = [0, 1 / 2, 2 / 3] if decay == 1 else [2 / 11, 0.2, 0.2]  # no more than (1 + s) / (10 + s) after s steps
    expected = functools.reduce(lambda mean, one: one[0] * mean + (1 - one[0]) * one[1], zip(kept, (3, 4, 5)), 2)
    assert average.tensors["weight"].item() == pytest.approx(expected)


def test_a_plain_mean_resumes_where_it_was(tmp_path: Path) -> None:
    model = nn.Linear(1, 1)
    whole, resumed = Average(model, 1.0), Average(model, 1.0)
    for step in range(4):
        with torch.no_grad():
            model.weight.fill_(float(step))
        whole.update(model, step + 1)
        if step == 1:
            resumed.load(whole.state())
        if step > 1:
            resumed.update(model, step + 1)
    assert whole.tensors["weight"].item() == pytest.approx(1.5)
    assert torch.equal(whole.tensors["weight"], resumed.tensors["weight"])
