"""The names of augmentations in recipes."""

from __future__ import annotations

from autodual.train.augmentation.base import Augmentation
from autodual.train.augmentation.images import Crop, Cutout, Flip
from autodual.train.augmentation.mixup import Mixup

AUGMENTATIONS: dict[str, type[Augmentation]] = {"flip": Flip, "crop": Crop, "cutout": Cutout, "mixup": Mixup}
