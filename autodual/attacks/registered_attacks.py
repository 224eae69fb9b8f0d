"""The registered attacks, which the command line chooses by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from autodual.attacks.apgd import Apgd
from autodual.attacks.base import Attack
from autodual.attacks.ensemble import Standard
from autodual.attacks.fgsm import Fgsm, RandomFgsm, RFgsm
from autodual.attacks.frank_wolfe import FrankWolfe
from autodual.attacks.multi_steepest import Msd
from autodual.attacks.pgd import Mim, Pgd
from autodual.attacks.projected_sinkhorn import ProjectedSinkhorn
from autodual.attacks.square import Square
from autodual.named_choices import registering
from autodual.registration import same_definition

_AttackClass = TypeVar("_AttackClass", bound="type[Attack]")

ATTACKS: dict[str, type[Attack]] = {
    "pgd": Pgd,
    "fgsm": Fgsm,
    "random-fgsm": RandomFgsm,
    "r-fgsm": RFgsm,
    "mim": Mim,
    "apgd": Apgd,
    "frank-wolfe": FrankWolfe,
    "projected-sinkhorn": ProjectedSinkhorn,
    "square": Square,
    "standard": Standard,
    "msd": Msd,
}


def named_attack(name: str, *, replace: bool = False) -> Callable[[_AttackClass], _AttackClass]:
    """Class decorator: register an attack under a name, so that `--attack NAME:FIELD=VALUE,…` chooses it.

    Args:
        name: short, of lower-case letters, digits and dashes.
        replace: replace another attack of this name.

    Raises:
        ValueError: the name is taken or malformed.

    Example:
        >>> from dataclasses import dataclass
        >>> from autodual.attacks import Attack, named_attack
        >>> @named_attack("corner")
        ... @dataclass(frozen=True)
        ... class Corner(Attack):
        ...     def run(self, function, region, specification, generator=None):
        ...         return region.corners(1, generator)[0]
    """
    return registering(ATTACKS, name, "attack", same_definition, replace=replace)
