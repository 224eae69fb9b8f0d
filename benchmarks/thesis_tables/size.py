"""The size at which the experiments are run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from autodual.data import Dataset, load_dataset


@dataclass
class Size:
    """The size of the experiments.

    epochs: of each training run, to which the thesis' schedules are scaled; 0 for its own. limit: training samples, 0
    for all. test: test samples. seeds: runs of each setting. largest: parameters of a network that is still trained.
    arch: trained instead of networks that are too large, or empty. instead: `mnist`, whose digits stand in for CIFAR-10
    in chapter 4's tables, or empty. plain: train on images as they are, without crops and flips. only: words, of which
    labels of rows that are run hold one; empty for all. stages: of cascades at most. attack_steps: of the attacks that
    networks of chapter 5 are trained on, 0 for the thesis' own. gentle: train on a radius that grows at first, and
    these networks by Adam; otherwise short runs stay constant. restarts: of the evaluation's attacks. queries: of the
    search without gradients that chapter 5's networks are evaluated by. few: images for the thesis' attack by transport
    plans, which takes seconds for each. exact_seconds: for each sample that is verified exactly. published: folder of
    networks that were published, which Table 5.1 takes in place of those it would train, or None.
    """

    epochs: int
    limit: int
    test: int
    seeds: int
    largest: int
    arch: str
    instead: str
    plain: bool
    only: str
    stages: int
    attack_steps: int
    gentle: bool
    restarts: int
    queries: int
    few: int
    exact_seconds: float
    published: Path | None
    data_dir: Path | None
    sets: dict[str, Dataset] = field(default_factory=dict)

    def dataset(self, name: str) -> Dataset:
        """A data set, read once."""
        if name not in self.sets:
            self.sets[name] = load_dataset(name, self._folder(name.partition(":")[0]))
        return self.sets[name]

    def _folder(self, name: str) -> Path | None:
        """The folder of a data set's files: the subfolder of its name, if there is one."""
        inner = None if self.data_dir is None else self.data_dir / name
        return inner if inner is not None and inner.is_dir() else self.data_dir

    def batches(self, name: str, size: int = 50) -> list[tuple[Tensor, Tensor]]:
        """The first test samples of a data set with their labels, in batches."""
        data = self.dataset(f"{name}:test")
        assert data.y is not None
        count = min(self.test, len(data))
        return [(data.x[part].float(), data.y[part]) for part in torch.arange(count).split(size)]
