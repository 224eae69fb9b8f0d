"""Our attacks in the convention of torchattacks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from autodual.adapters.avoided_targets import avoided
from autodual.attacks import Attack, attack_members
from autodual.attacks.evaluation_mode import evaluation_mode
from autodual.errors import InvalidInputError
from autodual.perturbations import PerturbationSet
from autodual.specs import ClassMargin, Specification

#: Of images and labels, the classes to aim at.
TargetMap: TypeAlias = Callable[[Tensor, Tensor], Tensor]
#: The same, of scores too.
Targets: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]


class TorchattacksAttack:
    """One of our attacks in the convention of torchattacks: `adversarial = attack(images, labels)`.

    The model is in evaluation mode while it is attacked. Targeted modes work with attacks on the margin, such as `Pgd`
    and `Standard`. torchattacks need not be installed; its `save` is not among what is offered.

    Args:
        model: the network.
        attack: any of our attacks.
        ball: the set around each image, in units of images before normalisation; give it a domain, mostly (0, 1).

    Example:
        >>> import autodual, torch
        >>> from autodual.adapters import TorchattacksAttack
        >>> from autodual.attacks import Pgd
        >>> attack = TorchattacksAttack(torch.nn.Identity(), Pgd(10), autodual.LinfBall(0.3, domain=(0, 1)))
        >>> attack(torch.tensor([[0.9, 0.4]]), torch.tensor([0]))
        tensor([[0.6000, 0.7000]])
    """

    supported_mode = ("default", "targeted")

    def __init__(self, model: nn.Module, attack: Attack, ball: PerturbationSet) -> None:
        self.search, self.ball = attack, ball
        self.attack = type(attack).__name__
        self.set_model(model)
        self.device = next((one.device for one in (*model.parameters(), *model.buffers())), torch.device("cpu"))
        self.set_mode_default()
        self.normalization_used: dict[str, Tensor] | None = None

    def __call__(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Adversarial images `[N, *shape]`, normalised if the images are.

        Args:
            images: `[N, *shape]`; normalised after `set_normalization_used`.
            labels: the classes, or the targets in the mode that says so; None: the predicted classes.
        """
        x = self.inverse_normalize(images.detach().to(self.device))
        with evaluation_mode(self.model), torch.no_grad():
            outputs = self.get_logits(x)
            goal = self._goal(x, outputs.argmax(1) if labels is None else labels.to(self.device), outputs)
            return self.normalize(attack_members(self.search, self.get_logits, self.ball.at(x), goal))

    def get_logits(self, inputs: Tensor) -> Tensor:
        """The scores of images that are not normalised.

        Args:
            inputs: `[N, *shape]`.
        """
        return self.model(self.normalize(inputs))

    def set_model(self, model: nn.Module) -> None:
        """Attack another network.

        Args:
            model: the network.
        """
        self.model, self.model_name = model, type(model).__name__

    def set_device(self, device: torch.device | str) -> None:
        """Where images and labels are moved.

        Args:
            device: that of the model.
        """
        self.device = torch.device(device)

    def set_normalization_used(self, mean: Any, std: Any) -> None:
        """Say that images are given, and returned, as (image − `mean`) / `std`, one number for each channel."""
        self.normalization_used = {
            name: torch.as_tensor(values).reshape(1, -1, 1, 1) for name, values in (("mean", mean), ("std", std))
        }

    def normalize(self, inputs: Tensor) -> Tensor:
        """Images as the model takes them.

        Args:
            inputs: images, not normalised.
        """
        if self.normalization_used is None:
            return inputs
        return (inputs - self.normalization_used["mean"].to(inputs)) / self.normalization_used["std"].to(inputs)

    def inverse_normalize(self, inputs: Tensor) -> Tensor:
        """Images before they were normalised.

        Args:
            inputs: normalised images.
        """
        if self.normalization_used is None:
            return inputs
        return inputs * self.normalization_used["std"].to(inputs) + self.normalization_used["mean"].to(inputs)

    def get_mode(self) -> str:
        """The name of the mode."""
        return self.attack_mode

    def set_mode_default(self) -> None:
        """Aim at any class but the label."""
        self.attack_mode, self.targeted = "default", False
        self._targets: Targets | None = None

    def set_mode_targeted_by_label(self, quiet: bool = False) -> None:
        """Labels are the classes to aim at.

        Args:
            quiet: as in torchattacks; nothing is printed here.
        """
        self._aim("targeted(label)", lambda images, labels, scores: labels)

    def set_mode_targeted_by_function(self, target_map_function: TargetMap, quiet: bool = False) -> None:
        """Aim at what a function makes of images and labels.

        Args:
            target_map_function: gives int64 `[N]`.
            quiet: as in torchattacks; nothing is printed here.
        """
        self._aim("targeted(custom)", lambda images, labels, scores: target_map_function(images, labels))

    def set_mode_targeted_random(self, quiet: bool = False) -> None:
        """Aim at any other class than the label, drawn from torch's random numbers.

        Args:
            quiet: as in torchattacks; nothing is printed here.
        """
        self._aim("targeted(random)", _other_class)

    def set_mode_targeted_least_likely(self, kth_min: int = 1, quiet: bool = False) -> None:
        """Aim at the class with the lowest score, other than the label.

        Args:
            kth_min: 1 for the lowest, 2 for the one above it, and so on.
            quiet: as in torchattacks; nothing is printed here.
        """
        if kth_min < 1:
            raise InvalidInputError(f"kth_min counts from 1, but is {kth_min}")
        self._aim("targeted(least-likely)", partial(_low_class, kth_min))

    def _aim(self, mode: str, targets: Targets) -> None:
        self.attack_mode, self.targeted, self._targets = mode, True, targets

    def _goal(self, images: Tensor, labels: Tensor, outputs: Tensor) -> Specification:
        """What has to be refuted."""
        if self._targets is None:
            return ClassMargin(labels)
        return avoided(self._targets(images, labels, outputs).to(self.device), outputs.shape[1])

    def __repr__(self) -> str:
        return f"TorchattacksAttack({self.search!r}, {self.ball.describe()}, mode={self.attack_mode})"


def _other_class(images: Tensor, labels: Tensor, scores: Tensor) -> Tensor:
    """Any class but the label, all being equally likely."""
    classes = scores.shape[1]
    return (labels + torch.randint(1, classes, labels.shape).to(labels)) % classes


def _low_class(place: int, images: Tensor, labels: Tensor, scores: Tensor) -> Tensor:
    """The class other than the label whose score is the lowest but `place` − 1."""
    if place >= scores.shape[1]:
        raise InvalidInputError(f"of {scores.shape[1]} classes kth_min may be 1 to {scores.shape[1] - 1}, not {place}")
    return scores.scatter(1, labels[:, None], torch.inf).argsort(1)[:, place - 1]
