"""The samples of a run: the held-out split, the order of each epoch, and their augmentation."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

from autodual.data import Dataset
from autodual.errors import DataError
from autodual.train.recipe.sections import DataSection

# Streams of random numbers: one chooses what is held out, the other the order of the rest.
_SPLIT, _ORDER = 1, 2
_MOST_CLASSES = 10_000


@dataclass(frozen=True, eq=False)
class Samples:
    """Training samples x `[N, *shape]` with labels y `[N]`, and others that are held out.

    classes: one more than the largest label of the data set.
    """

    x: Tensor
    y: Tensor
    held_x: Tensor
    held_y: Tensor
    classes: int

    def select(self, kept: Tensor, held: Tensor) -> Samples:
        """Some of the training samples and of the held-out ones, by index."""
        return Samples(self.x[kept], self.y[kept], self.held_x[held], self.held_y[held], self.classes)

    @property
    def digest(self) -> str:
        """The SHA-256 of the training samples' labels, in order, which tells them from other samples."""
        return hashlib.sha256(self.y.cpu().numpy().tobytes()).hexdigest()

    def batches(self, size: int, processes: int = 1) -> int:
        """How many batches of `size` the training samples make.

        The remainder is a batch of its own if it is more than an eighth of one and gives each process at least two
        samples, since batch norms cannot learn from one. Otherwise it joins the last batch.
        """
        whole, rest = divmod(len(self.x), size)
        return max(1, whole + (rest > size // 8 and rest >= 2 * processes))

    def smallest_share(self, size: int, processes: int = 1) -> int:
        """The fewest samples of a batch that a process may get."""
        return min(self._sizes(size, processes)) // processes

    def largest_share(self, size: int, processes: int = 1) -> int:
        """The most samples of a batch that a process may get."""
        return -(-max(self._sizes(size, processes)) // processes)

    def _sizes(self, size: int, processes: int) -> tuple[int, int]:
        """The sizes of the first and of the last batch."""
        batches = self.batches(size, processes)
        last = len(self.x) - (batches - 1) * size
        return (size if batches > 1 else last), last

    def order(self, seed: int, epoch: int) -> Tensor:
        """All training samples in the random order of an epoch, the same in every process and resumed run."""
        return torch.randperm(len(self.x), generator=_generator(seed, _ORDER, epoch))


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
    x, y = dataset.x.float(), dataset.y
    if not bool(x.isfinite().all()):
        raise DataError(
            f"'{dataset.name}' holds numbers that are too large for float32, in which networks are trained."
        )
    return Samples(x[kept].to(device), y[kept].to(device), x[held].to(device), y[held].to(device), classes)


def augmented(x: Tensor, section: DataSection) -> Tensor:
    """Samples `[N, *shape]` changed at random by all augmentations of a recipe."""
    for augmentation in section.all_augmentations:
        x = augmentation(x)
    return x


def _generator(seed: int, stream: int, number: int) -> torch.Generator:
    # Distinct for all seeds below 2^31, streams and epochs.
    return torch.Generator().manual_seed((seed * 4 + stream) * 2**20 + number)
