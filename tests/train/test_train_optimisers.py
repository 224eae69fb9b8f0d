"""The optimiser's options: which parameters decay, the l1 penalty of the weights, and both forms of momentum."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support.tiny_training import tiny_training
from torch import nn

from autodual.train.optimisation import Penalty, affine_weights, make_optimiser
from autodual.train.recipe import OptimiserSection


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
