"""Attacks of Foolbox as ours, and ours as Foolbox's."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from autodual.adapters.avoided_targets import avoided
from autodual.adapters.foreign_attack import ForeignAttack, FunctionModule, ball_of, one_radius
from autodual.adapters.packages import required
from autodual.attacks import Attack, attack_members, counterexamples
from autodual.attacks.base import Function
from autodual.errors import InvalidInputError
from autodual.perturbations import LinfBall, PerturbationSet, Searchable, Support
from autodual.specs import ClassMargin, Specification


def from_foolbox(attack: Any, *, seed: int = 0) -> Attack:
    """An attack of Foolbox as one of ours, on our sets: it is given the set's radius and the range of its points.

    An attack that looks for the smallest change, by whatever distance, may be used in any ball, such as salt and pepper
    noise in an l1 ball: the point that it finds is projected onto the ball.

    Args:
        attack: such as `foolbox.attacks.LinfPGD()`.
        seed: of its random numbers.

    Raises:
        InvalidInputError: it cannot be called; when run, if Foolbox is not installed, an attack that takes a radius
            takes it in another norm than the set's, or the specification is not about labels.

    Example:
        >>> from autodual.adapters import from_foolbox
        >>> from_foolbox("LinfPGD")
        Traceback (most recent call last):
        ...
        autodual.errors.InvalidInputError: from_foolbox takes an attack of Foolbox, not a str
    """
    if not callable(attack):
        raise InvalidInputError(f"from_foolbox takes an attack of Foolbox, not a {type(attack).__name__}")
    return _Foolbox(attack, seed)


@dataclass(frozen=True)
class _Foolbox(ForeignAttack):
    attack: Any
    seed: int

    def search(self, function: Function, region: Searchable, labels: Tensor) -> Tensor:
        ball, start = ball_of(region), region.project(region.centre)
        order, minimises = _order(self.attack), _minimises(self.attack)
        radius = one_radius(torch.as_tensor(ball.radius))
        if not minimises and order not in (None, ball.order):
            raise InvalidInputError(f"the attack measures l{order:g} norms, but the set is another: {ball.describe()}")
        bounds = _range(region, start)
        model = required("foolbox", "foolbox").PyTorchModel(FunctionModule(function).eval(), bounds, start.device)
        if minimises:
            # In a norm of its own it cannot tell when a change is small enough.
            return self.attack.run(model, start, labels, early_stop=radius if order == ball.order else None)
        _, clipped, _ = self.attack(model, start, labels, epsilons=radius)
        return clipped


def _order(attack: Any) -> float | None:
    """The order of the norm that an attack measures perturbations by; None if it does not say."""
    try:
        return getattr(getattr(attack, "distance", None), "p", None)
    except ValueError:  # attacks that can be made with any distance, and were made without
        return None


def _minimises(attack: Any) -> bool:
    """Whether an attack looks for the smallest change that succeeds, and takes no radius."""
    return "early_stop" in inspect.signature(getattr(attack, "run", attack)).parameters


def _range(region: Searchable, start: Tensor) -> tuple[float, float]:
    """The least and the largest value that a feature of a point may have."""
    ends = region.enclosure() if isinstance(region, Support) else None
    lower, upper = (start, start) if ends is None else (ends.lower, ends.upper)
    return float(torch.minimum(lower, start).min()), float(torch.maximum(upper, start).max())


@dataclass(frozen=True)
class FoolboxAttack:
    """One of our attacks in Foolbox's convention: `attack(model, inputs, criterion, epsilons=…)`.

    Inputs and results are tensors of torch, or of eagerpy if the inputs are. The domain is `model.bounds`.

    Args:
        attack: any of our attacks.
        ball: makes the set of a radius and a domain, such as `LinfBall`, `L2Ball` or `L1Ball`.
        times: runs with other random numbers, of which the first that succeeds counts.

    Raises:
        InvalidInputError: when called, if inputs lie outside the model's bounds, `epsilons` holds None, or the
            criterion is neither labels, `Misclassification` nor `TargetedMisclassification`.

    Example:
        >>> import torch
        >>> from autodual.adapters import FoolboxAttack
        >>> from autodual.attacks import Pgd
        >>> class Model:  # as Foolbox's: it can be called, and has bounds
        ...     bounds = (0.0, 1.0)
        ...     def __call__(self, x):
        ...         return x
        >>> x, labels = torch.tensor([[0.9, 0.4], [0.9, 0.1]]), torch.tensor([0, 0])
        >>> raw, clipped, is_adv = FoolboxAttack(Pgd(10))(Model(), x, labels, epsilons=[0.1, 0.3])
        >>> is_adv
        tensor([[False, False],
                [ True, False]])
    """

    attack: Attack
    ball: Callable[..., PerturbationSet] = LinfBall
    times: int = 1

    def __call__(self, model: Any, inputs: Any, criterion: Any, *, epsilons: Any) -> tuple[Any, Any, Any]:
        """Points, the same again (they never leave the ball), and which are adversarial.

        Args:
            model: a Foolbox model.
            inputs: `[N, *shape]`, within the model's bounds.
            criterion: labels `[N]`, or one of Foolbox's criteria about classes.
            epsilons: a radius, or several: then the results are lists, and `[K, N]`.
        """
        several = isinstance(epsilons, Iterable)
        found = [self._found(model, inputs, criterion, epsilon) for epsilon in (epsilons if several else [epsilons])]
        points, adversarial = ([_like(inputs, one) for one in part] for part in zip(*found, strict=True))
        if not several:
            return points[0], points[0], adversarial[0]
        return points, list(points), _like(inputs, torch.stack([hits for _, hits in found]))

    def run(self, model: Any, inputs: Any, criterion: Any, *, epsilon: float) -> Any:
        """The points of one radius, `epsilon`; `model`, `inputs` and `criterion` are those of a call."""
        return _like(inputs, self._found(model, inputs, criterion, epsilon)[0])

    def repeat(self, times: int) -> FoolboxAttack:
        """The same attack, run so many times as often.

        Args:
            times: 1 or more.
        """
        if times < 1:
            raise InvalidInputError(f"an attack is repeated once or more, not {times} times")
        return replace(self, times=self.times * times)

    @torch.no_grad()
    def _found(self, model: Any, inputs: Any, criterion: Any, epsilon: float | None) -> tuple[Tensor, Tensor]:
        """Points `[N, *shape]`, and which are adversarial, bool `[N]`."""
        x = _native(inputs)
        lower, upper = model.bounds
        if epsilon is None:
            raise InvalidInputError("epsilons must be radii; the smallest one that succeeds is not searched for")
        if not (x.min() >= lower and x.max() <= upper):
            raise InvalidInputError(f"inputs must lie within the model's bounds, {lower:g} to {upper:g}")
        region = self.ball(epsilon, domain=(lower, upper)).at(x)
        goal = _goal(criterion, model(x))
        points, hits = x, goal.margin(goal.rows(model(x)).values(model(x))) < 0
        for number in range(self.times):
            generator = None if number == 0 else torch.Generator(x.device).manual_seed(number)
            new = attack_members(self.attack, model, region, goal, generator)
            points = torch.where(region.per_feature(~hits & region.plausible(new)), new, points)
            hits = hits | counterexamples(model, region, goal, new)
        return points, hits


def _goal(criterion: Any, outputs: Tensor) -> Specification:
    """What has to be refuted."""
    if hasattr(criterion, "target_classes"):
        return avoided(_native(criterion.target_classes).to(outputs.device), outputs.shape[1])
    labels = _native(getattr(criterion, "labels", criterion))
    if not isinstance(labels, Tensor):
        raise InvalidInputError(
            "the criterion must be labels, Misclassification or TargetedMisclassification, not a "
            f"{type(criterion).__name__}"
        )
    return ClassMargin(labels)


def _native(values: Any) -> Any:
    """The tensor of torch inside one of eagerpy."""
    return getattr(values, "raw", values)


def _like(inputs: Any, values: Tensor) -> Any:
    """Values as a tensor of the kind of the inputs."""
    return type(inputs)(values) if hasattr(inputs, "raw") else values
