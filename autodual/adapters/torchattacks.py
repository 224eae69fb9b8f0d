"""Attacks of torchattacks as ours."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from autodual.adapters.foreign_attack import ForeignAttack, FunctionModule, ball_of, one_radius
from autodual.attacks import Attack
from autodual.attacks.base import Function
from autodual.errors import InvalidInputError
from autodual.evaluation import THREATS
from autodual.perturbations import NormBall, Searchable


def from_torchattacks(attack: Any, *, resize: bool = False, seed: int = 0) -> Attack:
    """An attack of torchattacks as one of ours, on our sets.

    It searches the function that it is run on, in place of its own model. Its inputs are images in [0, 1], or
    normalised ones after its `set_normalization_used`. Where it leaves the set, its points are projected.

    Args:
        attack: such as `torchattacks.PGD(model, eps=8/255)`; it stays as it is.
        resize: give it the radius of the set, and step sizes `alpha` in proportion. Without this, a radius other than
            its `eps` is refused.
        seed: of its random numbers.

    Raises:
        InvalidInputError: it is no attack of torchattacks; when run, if its norm, its radius or its range of inputs is
            not that of the set, or the specification is not about labels.

    Example:
        >>> import autodual, torch
        >>> from autodual.adapters import from_torchattacks
        >>> from autodual.attacks import broken
        >>> class Half:  # stands for an attack of theirs: any object with their calling convention
        ...     model, eps = torch.nn.Identity(), 0.5
        ...     def __call__(self, images, labels):
        ...         return images + self.eps * torch.tensor([-1.0, 1.0])
        >>> region = autodual.LinfBall(0.5).at(torch.tensor([[0.9, 0.4], [0.9, 0.1]]))
        >>> broken(torch.nn.Identity(), region, torch.tensor([0, 0]), from_torchattacks(Half()))
        tensor([True, True])
    """
    if not callable(attack) or not hasattr(attack, "model"):
        raise InvalidInputError(f"from_torchattacks takes an attack of torchattacks, not a {type(attack).__name__}")
    return _Torchattacks(attack, resize, seed)


@dataclass(frozen=True)
class _Torchattacks(ForeignAttack):
    attack: Any
    resize: bool
    seed: int

    def search(self, function: Function, region: Searchable, labels: Tensor) -> Tensor:
        # The copy has the function wherever the attack, or one that it is made of, had its model.
        attack = copy.deepcopy(self.attack, {id(self.attack.model): FunctionModule(function).eval()})
        ball, images = ball_of(region), region.project(region.centre)
        _check_norm(attack, ball)
        _check_range(attack, images)
        self._fit(attack, one_radius(_in_pixels(attack, torch.as_tensor(ball.radius))))
        if hasattr(attack, "set_device"):
            attack.set_device(images.device)
        return attack(images, labels)

    def _fit(self, attack: Any, radius: float) -> None:
        """Checks that the attack, and those that it is made of, have this radius, or gives it to them."""
        for part in _parts(attack):
            eps = getattr(part, "eps", None)
            if eps is None or math.isclose(eps, radius, rel_tol=1e-6):
                continue
            if not self.resize:
                raise InvalidInputError(
                    f"the attack has eps={eps:g}, but the set the radius {radius:g}; make it with eps={radius:g}, or "
                    "pass resize=True"
                )
            if getattr(part, "alpha", None) is not None and eps > 0:
                part.alpha *= radius / eps
            part.eps = radius


def _parts(attack: Any) -> Iterator[Any]:
    yield attack
    yield from getattr(attack, "_attacks", {}).values()


def _in_pixels(attack: Any, radius: Tensor) -> Tensor:
    """A radius `[]` or `[N, *shape]` of normalised inputs in units of the images, in which attacks have theirs."""
    normalised = getattr(attack, "normalization_used", None)
    return radius if normalised is None else radius * normalised["std"].to(radius)


def _check_norm(attack: Any, ball: NormBall) -> None:
    norm = str(getattr(attack, "norm", ""))
    if norm in THREATS and THREATS[norm].order != ball.order:
        raise InvalidInputError(f"the attack searches {norm} balls, but the set is another: {ball.describe()}")


def _check_range(attack: Any, images: Tensor) -> None:
    if getattr(attack, "normalization_used", None) is not None:
        images = attack.inverse_normalize(images)
    least, most = float(images.min()), float(images.max())
    if least < -1e-4 or most > 1 + 1e-4:
        raise InvalidInputError(
            f"attacks of torchattacks keep inputs in [0, 1], but these reach from {least:g} to {most:g}; give images "
            "in [0, 1] to a network that normalises them itself, or call set_normalization_used of the attack"
        )
