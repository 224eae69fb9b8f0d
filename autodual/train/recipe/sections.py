"""The sections of a recipe, one frozen dataclass each."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch

from autodual.errors import InvalidInputError
from autodual.perturbations import LpBall, PerturbationSet


@dataclass(frozen=True)
class DataSection:
    """What is learned from.

    train: a data set's name, or the path of a `.npz` file. limit: use that many samples only, 0 for all. hold_out: how
    many of them, the last ones after shuffling by the recipe's seed, are kept for validation and never trained on.
    mean, std: what the network is fed, (x - mean) / std; radii and domains stay in the units of x. shift: each image is
    moved by up to so many pixels, zeros moving in. flip: images are mirrored half of the time.
    """

    train: str = "mnist:train"
    limit: int = 0
    hold_out: int = 1000
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    shift: int = 0
    flip: bool = False

    def __post_init__(self) -> None:
        if bool(self.mean) != bool(self.std):
            raise InvalidInputError("data.mean and data.std go together; give both or neither")
        if min(self.limit, self.hold_out, self.shift) < 0:
            raise InvalidInputError("data.limit, data.hold_out and data.shift must not be negative")


@dataclass(frozen=True)
class NetworkSection:
    """What is trained: an architecture's name or `place:factory`, and how its weights begin."""

    arch: str = "small"
    batch_norm: bool = False
    initialisation: Literal["default", "interval"] = "default"


@dataclass(frozen=True)
class SetSection:
    """The perturbation set to be robust over, a ball of radius `eps`; `domain` clips it if two numbers are given."""

    eps: float = 0.1
    norm: float = math.inf
    domain: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not (math.isfinite(self.eps) and self.eps >= 0):
            raise InvalidInputError(f"set.eps must be finite and not negative, not {self.eps}")
        if len(self.domain) not in (0, 2):
            raise InvalidInputError("set.domain takes two numbers, such as [0, 1], or none")

    def ball(self, radius: float | torch.Tensor) -> PerturbationSet:
        """The set of this shape with another radius."""
        domain = (self.domain[0], self.domain[1]) if self.domain else None
        return LpBall(self.norm, radius, domain)


@dataclass(frozen=True)
class OptimiserSection:
    """How weights follow gradients.

    clip: the largest norm of a step's gradient, 0 for no limit. weight_decay: spares norm layers and biases. averaging:
    how much of the averaged weights is kept at each step (such as 0.999), 0 for no averaging; averaged weights are what
    is validated and saved. momentum: of SGD.
    """

    kind: Literal["adam", "adamw", "sgd"] = "adam"
    weight_decay: float = 0.0
    momentum: float = 0.9
    clip: float = 0.0
    averaging: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.averaging < 1:
            raise InvalidInputError(f"optimiser.averaging must be at least 0 and below 1, not {self.averaging}")


@dataclass(frozen=True)
class ValidationSection:
    """How held-out samples are judged after every `every` epochs, always at the full radius of `set`.

    bounds: `interval`, `mixed` (interval inside, dual at the end) or `dual`. samples: that many of the held-out ones
    for bounds and attacks, 0 for all. attack_steps: of projected gradient descent, 0 for none. patience: stop when the
    certified error has not fallen for so many epochs at the full radius, 0 for never.
    """

    bounds: Literal["interval", "mixed", "dual"] = "interval"
    every: int = 1
    samples: int = 0
    attack_steps: int = 10
    patience: int = 0
    batch_size: int = 200

    def __post_init__(self) -> None:
        if self.every < 1 or self.batch_size < 1:
            raise InvalidInputError("validation.every and validation.batch_size must be at least 1")
