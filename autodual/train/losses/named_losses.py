"""The names of losses: what recipes and `autodual train --loss` call them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import is_dataclass
from typing import TypeVar

from autodual.registration import same_definition
from autodual.train.losses.base import Loss
from autodual.train.losses.bounded import CrownIbp, IntervalBound, Robust
from autodual.train.losses.clean import Clean
from autodual.train.losses.free import FreeLoss
from autodual.train.losses.multi_step import Adversarial, MultiSteepest, PgdLoss
from autodual.train.losses.regularised import Regularised
from autodual.train.losses.single_step import FgsmLoss, NFgsmLoss, RFgsmLoss
from autodual.train.losses.small_boxes import MtlIbp, SmallBoxes
from autodual.train.losses.trades import TradesLoss

_Loss = TypeVar("_Loss", bound=type[Loss])

LOSSES: dict[str, type[Loss]] = {
    "clean": Clean,
    "pgd": PgdLoss,
    "fgsm": FgsmLoss,
    "r-fgsm": RFgsmLoss,
    "n-fgsm": NFgsmLoss,
    "free": FreeLoss,
    "trades": TradesLoss,
    "adversarial": Adversarial,
    "msd": MultiSteepest,
    "robust": Robust,
    "interval": IntervalBound,
    "crown-ibp": CrownIbp,
    "sabr": SmallBoxes,
    "mtl-ibp": MtlIbp,
    "regularised": Regularised,
}


def named_loss(name: str) -> Callable[[_Loss], _Loss]:
    """A class decorator that gives a loss its name in recipes, checkpoints and on the command line.

    Args:
        name: no other loss may have it; a class whose definition is run again, as in a notebook, replaces itself.

    Raises:
        ValueError: the name is taken.
        TypeError: what is decorated is no frozen dataclass derived from `Loss`.

    Example:
        >>> from dataclasses import dataclass
        >>> from autodual.extend import Loss, named_loss
        >>> @named_loss("confident")
        ... @dataclass(frozen=True)
        ... class Confident(Loss):
        ...     weight: float = 1.0
        ...
        ...     def of(self, batch):
        ...         return -self.weight * batch.clean.scores.flatten(1).amax(1)
    """

    def register(kind: _Loss) -> _Loss:
        if not (isinstance(kind, type) and issubclass(kind, Loss) and is_dataclass(kind)):
            raise TypeError(f"a loss is a frozen dataclass derived from autodual.extend.Loss; {kind!r} is not")
        present = LOSSES.get(name)
        if present is not None and not same_definition(present, kind):
            raise ValueError(f"the loss '{name}' is {present.__qualname__} already; choose another name")
        LOSSES[name] = kind
        return kind

    return register
