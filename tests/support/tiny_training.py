"""A training run of a few seconds: 24 small images, two epochs of six steps, with every feature that has a state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from autodual.data import Dataset
from autodual.train.checkpoint import RunFolder
from autodual.train.recipe import Recipe, assemble
from autodual.train.samples import split
from autodual.train.training import Training
from autodual.world import World

VALUES: dict[str, Any] = {
    "data": {"hold_out": 8, "shift": 1},
    "network": {"arch": "wide:1", "batch_norm": True},
    "set": {"eps": 0.05},
    "loss": {"kind": "mtl-ibp", "steps": 1, "restarts": 2},
    "radius": {"kind": "linear", "start": 0.2, "end": 1.0, "begin": 0.0, "finish": 1.0},
    "scheduled": {"alpha": {"kind": "linear", "start": 0.1, "end": 0.6, "finish": 2.0}},
    "optimiser": {"clip": 1.0, "averaging": 0.9},
    "validation": {"attack_steps": 1},
    "epochs": 2,
    "batch_size": 4,
    "seed": 5,
}


def tiny_data(count: int = 32) -> Dataset:
    """Images of 8×8 pixels in three classes."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(count, 1, 8, 8, generator=generator)
    y = torch.arange(count) % 3
    x[torch.arange(count), 0, y, y] += 1.0
    return Dataset(x, y, "tiny", "random images", "0" * 64)


def tiny_recipe(**values: Any) -> Recipe:
    """The recipe, with other values."""
    return assemble(Recipe, {**VALUES, **values})


def tiny_training(
    folder: Path, *, resume: bool = False, world: World | None = None, seconds: float = 1e9, **values: Any
) -> Training:
    """A run in a folder; `seconds` between checkpoints."""
    run = RunFolder(folder)
    run.check(resume=resume)
    run.make()
    if world is None or world.first:
        with run.locked():  # taking the lock removes temporary files of killed saves
            pass
    data = tiny_data()
    recipe = tiny_recipe(**values)
    samples = split(data, recipe.data, recipe.seed)
    return Training(recipe, samples, run, world=world, resume=resume, seconds_between_saves=seconds)


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Whether two state dicts are the same to the last bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def finish(training: Training) -> dict[str, torch.Tensor]:
    """Run all remaining steps; returns the network's final tensors."""
    while not training.done:
        training.step()
    return {name: value.clone() for name, value in training.network.state_dict().items()}
