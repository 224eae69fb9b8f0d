"""Stages of a cascade: each trains on the samples that no earlier stage certifies, and resumes to the last bit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from support.tiny_training import finish, tiny_data, tiny_recipe

import autodual
from autodual.errors import InvalidInputError
from autodual.train import uncertified
from autodual.train.checkpoint import RunFolder
from autodual.train.recipe import Recipe
from autodual.train.samples import Samples, split
from autodual.train.stages import Stages
from autodual.world import World

EASY = {
    "set": {"eps": 0.01},
    "loss": {"kind": "interval", "kappa": 0.5},
    "scheduled": {},
    "learning_rate": 3e-3,
    "data": {"hold_out": 8},
    "stages": 3,
}


def the_samples(recipe: Recipe) -> Samples:
    return split(tiny_data(48), recipe.data, recipe.seed)


def the_stages(path: Path, *, resume: bool = False, world: World | None = None, **values: object) -> Stages:
    recipe, folder = tiny_recipe(**{**EASY, **values}), RunFolder(path)
    folder.check(resume=resume)
    folder.make()
    return Stages(recipe, the_samples(recipe), folder, resume=resume, world=world, seconds_between_saves=1e9)


def files_of(path: Path) -> Sequence[dict[str, torch.Tensor]]:
    return [stage["state_dict"] for stage in torch.load(path / "cascade.pt", weights_only=True)]


@pytest.mark.parametrize("bounds", ["interval", "dual"])
def test_each_stage_trains_on_the_samples_that_no_earlier_stage_certifies(tmp_path: Path, bounds: str) -> None:
    validation = {"attack_steps": 0, "bounds": bounds}
    stages, seen = the_stages(tmp_path, epochs=6, validation=validation), []
    for training in stages:
        seen.append(training.samples)
        finish(training)
    assert len(stages.files) == len(seen) > 1
    networks = [autodual.compile_dual(stage) for stage in autodual.load_cascade(tmp_path / "cascade.pt")]
    whole, ball = the_samples(stages.recipe), stages.recipe.set.ball(0.01)
    words = {"inner": bounds, "last": bounds, "slopes": "adaptive"}
    for number, samples in enumerate(seen):
        for x, y, found, labels in (
            (whole.x, whole.y, samples.x, samples.y),
            (whole.held_x, whole.held_y, samples.held_x, samples.held_y),
        ):
            left = uncertified(networks[:number], x, y, ball, **words)  # type: ignore[arg-type]
            assert torch.equal(x[left], found) and torch.equal(y[left], labels)
    assert len(seen[0].x) == 40 > len(seen[1].x) > 0
    assert all(samples.classes == 3 for samples in seen)


def test_a_cascade_ends_when_all_samples_are_certified(tmp_path: Path) -> None:
    stages = the_stages(tmp_path, set={"eps": 0.0}, epochs=40)
    count = sum(1 for training in stages if finish(training))
    assert count == len(stages.files) == len(files_of(tmp_path)) < 3
    assert not uncertified(
        [autodual.compile_dual(stage) for stage in autodual.load_cascade(tmp_path / "cascade.pt")],
        stages.samples.x,
        stages.samples.y,
        autodual.LinfBall(0.0),
        inner="interval",
        last="interval",
    ).any()


@pytest.mark.parametrize("stop", [1, 60, 63])
def test_a_resumed_cascade_is_the_same_to_the_last_bit(tmp_path: Path, stop: int) -> None:
    """Stopped in the first stage, which has 60 steps, at its end, and in the second stage."""
    counts = []
    for training in the_stages(tmp_path / "whole", epochs=6, stages=2):
        counts.append(len(training.samples.x))
        finish(training)
    assert counts[0] == 40 > counts[1] > 0
    left = stop
    for training in the_stages(tmp_path / "parts", epochs=6, stages=2):
        while not training.done and left:
            left -= 1
            training.step(stop=left == 0)
        if not left:
            break
    assert (tmp_path / "parts" / "stage-2" / "checkpoint.pt").exists() == (stop > 60)
    for training in the_stages(tmp_path / "parts", resume=True, epochs=6, stages=2):
        finish(training)
    whole, parts = files_of(tmp_path / "whole"), files_of(tmp_path / "parts")
    assert len(whole) == len(parts) == 2
    for one, other in zip(whole, parts):
        assert all(torch.equal(one[name], other[name]) for name in one)
    assert not all(torch.equal(whole[0][name], whole[1][name]) for name in whole[0])


def test_after_a_stage_that_certifies_nothing_the_next_one_starts_differently(tmp_path: Path) -> None:
    """It has the same samples, but other initial weights and another order."""
    trainings = []
    for training in the_stages(tmp_path, set={"eps": 0.5}, stages=2):
        trainings.append((len(training.samples.x), training._batch().tolist(), training.network[0].weight.clone()))
        finish(training)
    (first, order, weight), (second, other_order, other_weight) = trainings
    assert first == second == 40 and order != other_order
    assert not torch.equal(weight, other_weight)


def test_a_cascade_of_helpful_stages_ends_before_the_first_that_adds_nothing(tmp_path: Path) -> None:
    """At a radius at which nothing is certified, the second stage adds nothing; at a small one each stage kept does."""
    none = the_stages(tmp_path / "none", set={"eps": 0.5}, stages=4, helpful_stages=True, epochs=1)
    assert sum(1 for training in none if finish(training)) == 2
    assert len(none.files) == len(files_of(tmp_path / "none")) == 1 and "stage 2 certified no further" in none.ended
    stages = the_stages(tmp_path / "some", set={"eps": 0.002}, stages=6, helpful_stages=True, epochs=4)
    trained = sum(1 for training in stages if finish(training))
    assert 1 <= len(stages.files) == len(files_of(tmp_path / "some")) <= trained
    cascade = [autodual.compile_dual(stage) for stage in autodual.load_cascade(tmp_path / "some" / "cascade.pt")]
    x, y, ball = stages.samples.held_x, stages.samples.held_y, autodual.LinfBall(0.002)
    counts = []
    for number in range(1, len(cascade) + 1):
        found = autodual.certify_cascade(autodual.Cascade(cascade[:number]), x, ball, y, slopes="adaptive")
        counts.append(sum(one.certified for one in found))
    assert counts == sorted(set(counts))
    resumed = the_stages(tmp_path / "some", resume=True, set={"eps": 0.002}, stages=6, helpful_stages=True, epochs=4)
    assert sum(1 for training in resumed if training.done) == trained and len(resumed.files) == len(stages.files)


def test_iterating_again_starts_a_new_list_of_files(tmp_path: Path) -> None:
    stages = the_stages(tmp_path, stages=2, epochs=1)
    for _ in range(2):
        for training in stages:
            finish(training)
        assert len(stages.files) == len(files_of(tmp_path)) == 2
    assert stages.recipe.stages == 2


def test_a_stage_is_not_resumed_on_other_samples(tmp_path: Path) -> None:
    next(iter(the_stages(tmp_path))).step(stop=True)
    stages = the_stages(tmp_path, resume=True)
    stages.samples = stages.samples.select(torch.arange(20), torch.arange(8))
    with pytest.raises(InvalidInputError, match="begun with other samples"):
        next(iter(stages))


def test_processes_together_find_the_remaining_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two simulated processes: the samples that each finds in its share are together those of a single process."""
    alone = the_stages(tmp_path, epochs=6, validation={"attack_steps": 0})
    trainings = iter(alone)
    finish(next(trainings))
    expected = next(trainings).samples
    shares: list[torch.Tensor] = []

    def gathered(self: World, thing: torch.Tensor) -> list[torch.Tensor]:
        shares.append(thing)
        return [thing]

    monkeypatch.setattr(World, "gathered", gathered)
    for rank in (0, 1):
        stages = Stages(alone.recipe, alone.samples, alone.folder, world=World(rank, 2))
        stages.files = alone.files
        dual = stages._compiled(alone.folder.stage(1))
        stages._kept(dual, alone.samples.x, alone.samples.y)
    kept = torch.cat(shares).sort().values
    assert torch.equal(alone.samples.x[kept], expected.x)


def test_a_cascade_does_not_start_in_a_folder_that_holds_a_run(tmp_path: Path) -> None:
    next(iter(the_stages(tmp_path))).step(stop=True)
    with pytest.raises(InvalidInputError, match="already holds a run"):
        the_stages(tmp_path)
    with pytest.raises(InvalidInputError, match="'stages' must be at least 1"):
        tiny_recipe(stages=0)
