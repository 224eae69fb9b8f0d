"""The samples of a run: the held-out split, the order of each epoch, and their augmentation."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

from autodual.data import Dataset
from autodual.errors import DataError
from autodual.train.mixed_labels import MixedLabels
from autodual.train.recipe.sections import DataSection

# Streams of random numbers: for what is held out, the order of the rest, and that of unlabelled samples.
_SPLIT, _ORDER, _UNLABELLED = 1, 2, 3
_MOST_CLASSES = 10_000


@dataclass(frozen=True, eq=False)
class PseudoLabelled:
    """Samples x `[M, *shape]` without labels of their own, with the classes y `[M]` that a teacher gives them.

    digests: SHA-256 of the samples' files, of the teacher's file, and of those that it keeps weights in.
    """

    x: Tensor
    y: Tensor
    digests: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Samples:
    """Training samples x `[N, *shape]` with labels y `[N]`, and others that are held out.

    classes: one more than the largest label of the data set. unlabelled: samples that fill half of each batch. An epoch
    is a pass over the labelled ones, and uses a random part of these. Their indices follow those of the labelled ones.
    """

    x: Tensor
    y: Tensor
    held_x: Tensor
    held_y: Tensor
    classes: int
    unlabelled: PseudoLabelled | None = None

    def select(self, kept: Tensor, held: Tensor) -> Samples:
        """Some of the training samples and of the held-out ones, by index; and all unlabelled ones."""
        chosen = self.x[kept], self.y[kept], self.held_x[held], self.held_y[held]
        return Samples(*chosen, self.classes, self.unlabelled)

    def at(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Training samples and their labels or pseudo-labels, by index."""
        if self.unlabelled is None:
            return self.x[indices], self.y[indices]
        known = indices < len(self.x)
        own, other = indices[known], indices[~known] - len(self.x)
        # Back from the labelled ones and the others in turn to the order of the indices.
        places = torch.cat([known.nonzero(), (~known).nonzero()]).squeeze(1).argsort()
        x = torch.cat([self.x[own], self.unlabelled.x[other]])[places]
        return x, torch.cat([self.y[own], self.unlabelled.y[other]])[places]

    @property
    def digest(self) -> str:
        """The SHA-256 of the training samples' labels, in order, and of unlabelled samples and their teacher.

        It tells them from other samples.
        """
        found = hashlib.sha256(self.y.cpu().numpy().tobytes())
        if self.unlabelled is not None:
            found.update(" ".join(self.unlabelled.digests).encode())
        return found.hexdigest()

    def batches(self, size: int, processes: int = 1) -> int:
        """How many batches of `size` an epoch has.

        The remainder is a batch of its own if it is more than an eighth of one and gives each process at least two
        samples, since batch norms cannot learn from one. Otherwise it joins the last batch.
        """
        whole, rest = divmod(len(self.x), self._labelled(size))
        return max(1, whole + (rest > self._labelled(size) // 8 and rest >= 2 * processes))

    def an_epoch(self, size: int, processes: int = 1) -> int:
        """How many samples the batches of an epoch hold."""
        return (self.batches(size, processes) - 1) * size + self._sizes(size, processes)[1]

    def smallest_share(self, size: int, processes: int = 1) -> int:
        """The fewest samples of a batch that a process may get."""
        return min(self._sizes(size, processes)) // processes

    def largest_share(self, size: int, processes: int = 1) -> int:
        """The most samples of a batch that a process may get."""
        return -(-max(self._sizes(size, processes)) // processes)

    def _sizes(self, size: int, processes: int) -> tuple[int, int]:
        """The sizes of the first and of the last batch."""
        batches = self.batches(size, processes)
        last = len(self.x) - (batches - 1) * self._labelled(size)
        last += last * (size - self._labelled(size)) // self._labelled(size)
        return (size if batches > 1 else last), last

    def _labelled(self, size: int) -> int:
        """How many samples of a batch have labels."""
        return size if self.unlabelled is None else size - size // 2

    def order(self, seed: int, epoch: int, size: int, processes: int = 1) -> Tensor:
        """The indices of an epoch's batches one after another, the same in every process and resumed run."""
        labelled = torch.randperm(len(self.x), generator=_generator(seed, _ORDER, epoch))
        if self.unlabelled is None:
            return labelled
        own, before = self._labelled(size), self.batches(size, processes) - 1
        others = self._others(seed, epoch, self.an_epoch(size, processes) - len(self.x))
        whole = [labelled[: before * own].view(before, own), others[: before * (size - own)].view(before, size - own)]
        return torch.cat([torch.cat(whole, 1).flatten(), labelled[before * own :], others[before * (size - own) :]])

    def _others(self, seed: int, epoch: int, count: int) -> Tensor:
        """So many unlabelled samples at random, by index: none comes again before each has come as often."""
        assert self.unlabelled is not None
        generator, there = _generator(seed, _UNLABELLED, epoch), len(self.unlabelled.x)
        rounds = [torch.randperm(there, generator=generator) for _ in range(-(-count // there))]
        return torch.cat([*rounds, torch.empty(0, dtype=torch.long)])[:count] + len(self.x)


def split(dataset: Dataset, section: DataSection, seed: int, device: torch.device | str = "cpu") -> Samples:
    """Training and held-out samples, float32 on the device.

    Raises DataError where labels are missing, negative or too large, nothing is left to train on, the samples cannot be
    augmented as the section says, or numbers are too large for float32.
    """
    if dataset.y is None:
        raise DataError(f"'{dataset.name}' has no labels to train on.")
    if dataset.y.dim() > 1:
        raise DataError(
            f"'{dataset.name}' has label maps, on which autodual train does not train; the losses of "
            "autodual.train.losses do, in a loop of your own."
        )
    classes = 1 + int(dataset.y.max())
    if int(dataset.y.min()) < 0 or classes > _MOST_CLASSES:
        worst = int(dataset.y.max()) if classes > _MOST_CLASSES else int(dataset.y.min())
        raise DataError(
            f"'{dataset.name}' has the label {worst}; labels count from 0, and at most {_MOST_CLASSES} classes can be "
            "trained on."
        )
    for augmentation in section.all_augmentations:
        augmentation.check(dataset.shape)
    order = torch.randperm(len(dataset), generator=_generator(seed, _SPLIT, 0))
    if section.limit:
        order = order[: section.limit]
    if section.hold_out >= len(order):
        raise DataError(
            f"'{dataset.name}' has {len(order)} samples, of which data.hold_out = {section.hold_out} leaves none."
        )
    kept, held = order[: len(order) - section.hold_out], order[len(order) - section.hold_out :]
    x, y = float32_samples(dataset), dataset.y
    return Samples(x[kept].to(device), y[kept].to(device), x[held].to(device), y[held].to(device), classes)


def float32_samples(dataset: Dataset) -> Tensor:
    """The samples of a data set in float32. Raises DataError for numbers that are too large for it."""
    x = dataset.x.float()
    if not bool(x.isfinite().all()):
        raise DataError(
            f"'{dataset.name}' holds numbers that are too large for float32, in which networks are trained."
        )
    return x


def augmented(x: Tensor, labels: Tensor, section: DataSection) -> tuple[Tensor, Tensor | MixedLabels]:
    """Samples `[N, *shape]` and their labels `[N]`, changed at random by all augmentations of a recipe."""
    found: Tensor | MixedLabels = labels
    for augmentation in section.all_augmentations:
        x, found = augmentation(x, found)
    return x, found


def _generator(seed: int, stream: int, number: int) -> torch.Generator:
    # Distinct for all seeds below 2^31, streams and epochs.
    return torch.Generator().manual_seed((seed * 4 + stream) * 2**20 + number)
