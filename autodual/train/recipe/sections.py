"""The sections of a recipe, one frozen dataclass each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch

from autodual.errors import InvalidInputError
from autodual.number_ranges import LARGEST
from autodual.perturbations import ChosenSet, PerturbationSet, choose_set
from autodual.train.augmentation import Augmentation, Crop, Flip
from autodual.train.limits import CountOrNone, Finite, Fraction, Kept, NonNegative, Positive, check_fields


class Section:
    """A frozen dataclass whose fields are checked when it is made.

    One whose table in a recipe is not just its fields also has `from_table` and `to_table` (see `SetSection`).
    """

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class DataSection(Section):
    """The data to train on.

    train: a data set's name, or the path of a `.npz` file. test: another one, on which learning curves show errors for
    comparison (`curves.sets`); nothing is chosen by it. limit: use that many samples only, 0 for all. hold_out: how
    many of them, the last ones after shuffling by the recipe's seed, are kept for validation and never trained on.
    mean, std: the network gets (x - mean) / std; radii and domains stay in the units of x. flip: each image is mirrored
    with probability 1/2. shift: each image is moved at random by at most so many pixels, and filled with zeros.
    augmentations: more changes at random, made after those two and one after another. unlabelled: a data set, like
    `train`, whose samples are half of each batch, and whose labels, if any, are not used; teacher: the file of a
    network that classifies them. All of `unlabelled` is used for training, whatever `limit` and `hold_out` say.
    """

    train: str = "mnist:train"
    test: str = ""
    limit: CountOrNone = 0
    hold_out: CountOrNone = 1000
    mean: tuple[Finite, ...] = ()
    std: tuple[Positive, ...] = ()
    shift: CountOrNone = 0
    flip: bool = False
    augmentations: tuple[Augmentation, ...] = ()
    unlabelled: str = ""
    teacher: str = ""

    @property
    def all_augmentations(self) -> tuple[Augmentation, ...]:
        """All that are made, in order; `flip` and `shift` are short for `Flip()` and `Crop(shift)`."""
        flip, shift = (Flip(),) if self.flip else (), (Crop(self.shift),) if self.shift else ()
        return (*flip, *shift, *self.augmentations)

    def __post_init__(self) -> None:
        super().__post_init__()
        if bool(self.mean) != bool(self.std):
            raise InvalidInputError("data.mean and data.std go together; give both or neither")
        if bool(self.unlabelled) != bool(self.teacher):
            raise InvalidInputError("data.unlabelled and data.teacher go together; give both or neither")


@dataclass(frozen=True)
class NetworkSection(Section):
    """The network to train: an architecture's name or `place:factory`, and its initial weights."""

    arch: str = "small"
    batch_norm: bool = False
    initialisation: Literal["default", "interval"] = "default"


@dataclass(frozen=True)
class SetSection(Section):
    """The perturbation set to be robust over: a registered set (`norm`) of radius `eps`.

    `domain` clips it if two numbers are given. `options` are the set's own parameters, which stand beside the others in
    a recipe. `norm` may also be given as the order of a norm.
    """

    eps: NonNegative = 0.1
    norm: str = "linf"
    domain: tuple[Finite, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.domain and not (len(self.domain) == 2 and self.domain[0] < self.domain[1]):
            raise InvalidInputError("set.domain takes two rising numbers, such as [0, 1], or none")
        chosen = self.chosen
        object.__setattr__(self, "norm", chosen.name)
        object.__setattr__(self, "options", dict(chosen.options))
        if chosen.entry.radius is None:
            raise InvalidInputError(f"the set '{self.norm}' has no radius, and training needs one; choose another norm")
        if self.domain and chosen.entry.domain is None:
            raise InvalidInputError(f"the set '{self.norm}' takes no domain; leave set.domain out")

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Mapping[str, Any]:
        """A recipe's table with the set's own parameters under `options`, and an order of a norm as its name."""
        named = {name: value for name, value in table.items() if name in cls.__dataclass_fields__ and name != "options"}
        norm = table.get("norm")
        if isinstance(norm, float) or (type(norm) is int and norm <= LARGEST):
            named["norm"] = repr(norm)
        return {**named, "options": {name: value for name, value in table.items() if name not in named}}

    def to_table(self) -> dict[str, Any]:
        """What `from_table` makes the same section of."""
        return {"eps": self.eps, "norm": self.norm, "domain": self.domain, **self.options}

    @property
    def chosen(self) -> ChosenSet:
        """The registered set, with its parameters."""
        return choose_set(self.norm, self.options)

    def ball(self, radius: float | torch.Tensor) -> PerturbationSet:
        """The set of this shape with another radius."""
        return self.chosen.make(radius, (self.domain[0], self.domain[1]) if self.domain else None)


@dataclass(frozen=True)
class OptimiserSection(Section):
    """The optimiser.

    clip: the largest norm of a step's gradient, 0 for no limit. weight_decay: of the parameters that `decayed` names:
    `matrices` are those of two or more axes, which spares biases and norm layers; `affine` the weights of linear layers
    and convolutions alone; `all` every parameter. l1: λ of a penalty λ Σ |w| over the weights of linear layers and
    convolutions, which counts in steps but not in the losses that are shown. averaging: the share of the averaged
    weights that is kept at each step (such as 0.999), 1 for the mean of all steps, 0 for no averaging; the averaged
    weights are validated and saved. averaging_from: the epoch after which it begins; until then the weights themselves
    are. momentum: of SGD, in Nesterov's form if `nesterov`.
    """

    kind: Literal["adam", "adamw", "sgd"] = "adam"
    weight_decay: NonNegative = 0.0
    decayed: Literal["matrices", "affine", "all"] = "matrices"
    l1: NonNegative = 0.0
    momentum: Kept = 0.9
    nesterov: bool = True
    clip: NonNegative = 0.0
    averaging: Fraction = 0.0
    averaging_from: NonNegative = 0.0
