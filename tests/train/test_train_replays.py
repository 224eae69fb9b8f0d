"""Losses that carry a perturbation from batch to batch, in the trainer: passes, schedules, and resumed runs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as functional
from support.tiny_training import finish, same, tiny_data, tiny_recipe, tiny_training
from torch import Tensor, nn

from autodual.errors import InvalidInputError, ModelFileError, UnsupportedOpsError
from autodual.train.checkpoint import RunFolder
from autodual.train.recipe import Recipe, assemble
from autodual.train.samples import split
from autodual.train.schedules import Constant
from autodual.train.training import Training

RATE = {"kind": "linear", "start": 0.1, "end": 0.0, "finish": 6.0}
VALUES: dict[str, Any] = {
    "data": {"hold_out": 1},
    "network": {"arch": "mlp:6"},
    "loss": {"kind": "free", "replays": 2},
    "scheduled": {},
    "radius": 1.0,
    "learning_rate": RATE,
    "optimiser": {"kind": "sgd", "nesterov": False},
    "validation": {"attack_steps": 1, "select": "clean"},
    "epochs": 5,
    "batch_size": 12,
}


def test_free_training_equals_algorithm_6_by_hand(tmp_path: Path) -> None:
    """Five epochs with two replays make three passes; the last batch has seven samples and changes seven offsets."""
    training = tiny_training(tmp_path, **VALUES)
    network = training.network
    start = {name: value.clone() for name, value in network.state_dict().items()}
    found = finish(training)
    network.load_state_dict(start)
    recipe = tiny_recipe(**VALUES)
    samples = split(tiny_data(), recipe.data, recipe.seed)
    optimiser = torch.optim.SGD(network.parameters(), 0.0, momentum=0.9)
    offset, steps = torch.zeros(12, 1, 8, 8), 0
    assert (training.passes, training.steps) == (3, 9)
    for number in range(3):
        for indices in samples.order(recipe.seed, number, 12).split(12):
            x, labels, count = samples.x[indices], samples.y[indices], len(indices)
            for _ in range(2):
                optimiser.param_groups[0]["lr"] = 0.1 * (1 - steps / 3 / 6)  # three replays are an epoch
                points = (x + offset[:count]).requires_grad_()
                optimiser.zero_grad()
                functional.cross_entropy(network(points), labels).backward()
                offset[:count] = (offset[:count] + 0.05 * points.grad.sign()).clamp(-0.05, 0.05)
                optimiser.step()
                steps += 1
    torch.testing.assert_close(training.carried["offset"], offset, atol=1e-6, rtol=1e-5)
    for name, value in network.state_dict().items():
        torch.testing.assert_close(found[name], value, atol=1e-6, rtol=1e-5)
    assert [row["epoch"] for row in training.progress.rows] == [2, 4, 6] and steps == 18
    assert training.seen == training.to_see == 6 * 31


@pytest.mark.parametrize(
    "loss", [{"kind": "free", "replays": 3}, {"kind": "fgsm", "start": "previous"}], ids=["free", "fgsm"]
)
def test_the_carried_perturbation_is_resumed_to_the_last_bit(tmp_path: Path, loss: dict[str, Any]) -> None:
    values = {**VALUES, "loss": loss, "data": {"hold_out": 1, "shift": 1}, "epochs": 4}
    whole = tiny_training(tmp_path / "whole", **values)
    expected = finish(whole)
    first = tiny_training(tmp_path / "parts", **values)
    for step in range(2):
        first.step(stop=step == 1)
    assert bool(first.carried["offset"].abs().sum() > 0)
    second = tiny_training(tmp_path / "parts", resume=True, **values)
    assert torch.equal(second.carried["offset"], first.carried["offset"])
    assert same(finish(second), expected) and torch.equal(second.carried["offset"], whole.carried["offset"])


def test_a_damaged_perturbation_is_refused_and_an_old_checkpoint_is_not(tmp_path: Path) -> None:
    training = tiny_training(tmp_path / "free", **VALUES)
    training.step(stop=True)
    path = training.folder.checkpoint
    state = torch.load(path, weights_only=True)
    for bad in (torch.zeros(11, 1, 8, 8), torch.full((12, 1, 8, 8), math.nan)):
        torch.save({**state, "carried": [{"offset": bad}]}, path)
        with pytest.raises(ModelFileError, match=r"damaged: 'carried.offset'"):
            tiny_training(tmp_path / "free", resume=True, **VALUES)
    values = {**VALUES, "loss": "interval", "optimiser": {"kind": "sgd", "weight_decay": 0.1}}
    training = tiny_training(tmp_path / "old", **values)
    training.step(stop=True)
    path = training.folder.checkpoint
    state = torch.load(path, weights_only=True)
    state["progress"] |= state.pop("selection")
    for name in ("carried", "good", "scaler"):
        del state[name]
    for name in ("decayed", "l1", "nesterov"):
        del state["recipe"]["optimiser"][name]
    torch.save(state, path)
    assert tiny_training(tmp_path / "old", resume=True, **values).progress.step == 1


class Strange(nn.Module):
    """A network without a dual network, since the Fourier transform has no dual rule."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(64, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.fft.fft(x.flatten(1)).real)


def test_networks_that_cannot_be_bounded_are_trained_on_attacks(tmp_path: Path) -> None:
    values = {**VALUES, "validation": {"attack_steps": 1}, "data": {"hold_out": 8}, "epochs": 2}
    for loss in ("fgsm", "free", "trades"):
        recipe = tiny_recipe(**{**values, "loss": loss, "optimiser": {"averaging": 0.5}})
        samples = split(tiny_data(), recipe.data, recipe.seed)
        training = Training(recipe, samples, RunFolder(tmp_path / loss), factory=Strange)
        finish(training)
        row = training.progress.rows[-1]
        assert 0 <= row["clean_error"] <= row["attacked_error"] <= 1 and math.isnan(row["certified_error"])
    recipe = tiny_recipe(**{**values, "loss": "interval"})
    with pytest.raises(UnsupportedOpsError):
        Training(recipe, samples, RunFolder(tmp_path / "interval"), factory=Strange)


def test_losses_of_attacks_use_the_full_radius_from_the_start_by_default() -> None:
    assert assemble(Recipe, {"loss": "fgsm"}).radius == Constant(1.0)
    assert assemble(Recipe, {"loss": {"kind": "free"}, "radius": 0.5}).radius == Constant(0.5)
    with pytest.raises(InvalidInputError, match=r"loss.kind"):
        assemble(Recipe, {"loss": {"kind": [1]}})
    assert assemble(Recipe, {"loss": "interval"}).radius == assemble(Recipe, {}).radius == Recipe().radius


def test_shares_of_the_run_are_of_all_its_passes() -> None:
    """Three epochs of eight replays make one pass, which is eight epochs; a cycle's rate is zero at their end only."""
    values = {"loss": {"kind": "free"}, "epochs": 3, "learning_rate": {"kind": "cyclic", "peak": 0.2}}
    recipe = assemble(Recipe, values)
    assert recipe.length == 8
    assert [recipe.learning_rate(epoch) for epoch in (0, 4, 6, 8)] == pytest.approx([0.0, 0.2, 0.1, 0.0])
