"""Unlabelled samples fill half of each batch, with labels by a teacher; runs with them can be resumed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy
import pytest
import torch
from support.tiny_training import VALUES, finish, same, tiny_data, tiny_recipe
from torch import nn

from autodual.errors import DataError, InvalidInputError
from autodual.train.checkpoint import RunFolder
from autodual.train.recipe import Recipe, assemble
from autodual.train.samples import PseudoLabelled, Samples, split
from autodual.train.training import Training
from autodual.train.unlabelled import pseudo_labels, with_unlabelled


def samples(labelled: int, unlabelled: int) -> Samples:
    x, y = torch.rand(labelled, 2), torch.arange(labelled) % 3
    return Samples(x, y, x[:0], y[:0], 3, PseudoLabelled(torch.rand(unlabelled, 2), torch.arange(unlabelled) % 3, ()))


@pytest.mark.parametrize(
    ("size", "labelled", "unlabelled"), [(8, 40, 100), (8, 43, 7), (7, 21, 50), (2, 5, 3), (9, 3, 1)]
)
def test_half_of_each_batch_is_unlabelled_and_an_epoch_uses_each_label_once(
    size: int, labelled: int, unlabelled: int
) -> None:
    found = samples(labelled, unlabelled)
    order, batches = found.order(3, 5, size), found.batches(size)
    assert len(order) == found.an_epoch(size) and torch.equal(order, found.order(3, 5, size))
    assert order[order < labelled].sort().values.tolist() == list(range(labelled))
    for number in range(batches):
        batch = order[number * size : None if number == batches - 1 else (number + 1) * size]
        own = int((batch < labelled).sum())
        if number < batches - 1:
            assert (own, len(batch)) == (size - size // 2, size)
        else:
            assert abs(len(batch) - 2 * own) <= 1 + own // 4
    counts = torch.bincount(order[order >= labelled] - labelled, minlength=unlabelled)
    assert int(counts.max() - counts.min()) <= 1 and not torch.equal(order, found.order(3, 6, size))


def test_samples_come_in_the_order_of_their_indices() -> None:
    found = samples(5, 9)
    assert found.unlabelled is not None
    x, y = torch.cat([found.x, found.unlabelled.x]), torch.cat([found.y, found.unlabelled.y])
    for _ in range(10):
        indices = torch.randperm(14)
        got = found.at(indices)
        assert torch.equal(got[0], x[indices]) and torch.equal(got[1], y[indices])


def test_a_teacher_labels_by_its_largest_score_and_must_fit() -> None:
    torch.manual_seed(0)
    teacher, x = nn.Sequential(nn.Linear(4, 3), nn.Dropout()).double(), torch.rand(7, 4)
    expected = (x.double() @ teacher[0].weight.T + teacher[0].bias).argmax(1)
    assert torch.equal(pseudo_labels(teacher, x, 3, "teacher"), expected)
    for wrong, words in (
        (nn.Linear(5, 3), r"does not run on samples of shape \[4\]"),
        (nn.Sequential(nn.Linear(4, 3), nn.Softplus(), nn.Unflatten(1, (3, 1))), "one finite score a class"),
        (nn.Linear(4, 3).apply(lambda layer: nn.init.constant_(layer.bias, torch.nan)), "one finite score a class"),
        (nn.Linear(4, 9).apply(lambda layer: nn.init.constant_(layer.bias[8], 50.0)), "finds class 8.*have 3 classes"),
    ):
        with pytest.raises(InvalidInputError, match=words):
            pseudo_labels(wrong, x, 3, "teacher")


@pytest.fixture
def semi(tmp_path: Path) -> dict[str, object]:
    """A recipe's values with an unlabelled data set and a teacher."""
    torch.manual_seed(1)
    torch.save(nn.Sequential(nn.Flatten(), nn.Linear(64, 3)), tmp_path / "teacher.pt")
    numpy.savez(tmp_path / "more.npz", x=torch.rand(50, 1, 8, 8).numpy())
    data = {**VALUES["data"], "unlabelled": str(tmp_path / "more.npz"), "teacher": str(tmp_path / "teacher.pt")}
    return {
        **VALUES,
        "data": data,
        "network": {"arch": "mlp:4"},
        "loss": "clean",
        "scheduled": {},
        "validation": {"attack_steps": 0},
    }


def run(folder: Path, values: dict[str, object], **options: bool) -> Training:
    recipe = assemble(Recipe, values)
    found = with_unlabelled(split(tiny_data(), recipe.data, recipe.seed), recipe.data)
    return Training(recipe, found, RunFolder(folder), **options)


def test_a_run_learns_from_pseudo_labels_and_can_be_resumed(tmp_path: Path, semi: dict[str, object]) -> None:
    whole = run(tmp_path / "whole", semi)
    assert whole.steps_an_epoch == 12 and whole.steps == 24  # 24 labelled samples, two in each batch of 4
    expected = finish(whole)
    first = run(tmp_path / "parts", semi)
    for step in range(13):
        first.step(stop=step == 12)
    assert same(finish(run(tmp_path / "parts", semi, resume=True)), expected)
    with numpy.load(tmp_path / "more.npz") as archive:
        numpy.savez(tmp_path / "more.npz", x=archive["x"] * 0.5)
    with pytest.raises(InvalidInputError, match="other samples or labels"):
        run(tmp_path / "parts", semi, resume=True)


def test_incompatible_settings_are_refused(tmp_path: Path, semi: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError, match=r"data.unlabelled and data.teacher go together"):
        tiny_recipe(data={"unlabelled": "more.npz"})
    with pytest.raises(InvalidInputError, match=r"'batch_size' must be at least 2 with data\.unlabelled"):
        assemble(Recipe, {**semi, "batch_size": 1})
    recipe = assemble(Recipe, semi)
    plain = split(tiny_data(), recipe.data, 0)
    with pytest.raises(InvalidInputError, match="with_unlabelled"):
        Training(recipe, plain, RunFolder(tmp_path / "run"))
    numpy.savez(tmp_path / "more.npz", x=torch.rand(5, 1, 4, 4).numpy())
    with pytest.raises(DataError, match=r"of shape \[1, 4, 4\], but those with labels have the shape \[1, 8, 8\]"):
        with_unlabelled(plain, recipe.data)
    assert with_unlabelled(plain, replace(recipe.data, unlabelled="", teacher="")) is plain
