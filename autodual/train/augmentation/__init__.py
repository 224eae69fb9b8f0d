"""Augmentations: random changes of the samples of each batch, which a recipe lists as `data.augmentations`."""

from autodual.train.augmentation.base import Augmentation, ImageAugmentation
from autodual.train.augmentation.images import Crop, Cutout, Flip
from autodual.train.augmentation.mixup import Mixup
from autodual.train.augmentation.named_augmentations import AUGMENTATIONS

__all__ = ["AUGMENTATIONS", "Augmentation", "Crop", "Cutout", "Flip", "ImageAugmentation", "Mixup"]
