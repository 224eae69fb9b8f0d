"""The interface of augmentations: random changes of the samples of a batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor

from autodual.errors import DataError
from autodual.train.limits import check_fields
from autodual.train.mixed_labels import MixedLabels


class Augmentation(ABC):
    """A random change of a batch; a frozen dataclass whose fields are its options.

    Random numbers come from torch's generator, whose state a checkpoint holds, so that a resumed run draws the same.
    """

    def __post_init__(self) -> None:
        check_fields(self)

    #: Whether samples get several labels, which bounds do not know.
    mixes: ClassVar[bool] = False

    def check(self, shape: tuple[int, ...]) -> None:
        """Raise DataError where samples of that shape cannot be changed so; any can, unless an augmentation says so."""
        return

    @abstractmethod
    def __call__(self, x: Tensor, labels: Tensor | MixedLabels) -> tuple[Tensor, Tensor | MixedLabels]:
        """The changed samples, of the shape of x `[N, *shape]`, and their labels, given `[N]`."""


class ImageAugmentation(Augmentation):
    """A change of images `[channels, height, width]`, which keep their labels."""

    def __call__(self, x: Tensor, labels: Tensor | MixedLabels) -> tuple[Tensor, Tensor | MixedLabels]:
        return self.changed(x), labels

    @abstractmethod
    def changed(self, x: Tensor) -> Tensor:
        """The changed images, of the shape of x `[N, C, H, W]`."""

    def check(self, shape: tuple[int, ...]) -> None:
        if len(shape) != 3:
            raise DataError(
                f"the augmentation {type(self).__name__} changes images [channels, height, width], but samples have "
                f"the shape {list(shape)}; leave it out."
            )
