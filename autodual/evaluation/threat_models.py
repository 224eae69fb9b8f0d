"""Perturbation sets by the names that benchmarks of robustness have for them."""

from __future__ import annotations

from collections.abc import Mapping

from autodual.errors import InvalidInputError
from autodual.perturbations import L1Ball, L2Ball, LinfBall, PerturbationSet
from autodual.perturbations.parameters import Domain

#: Balls by the names of their norms.
THREATS: Mapping[str, type[LinfBall] | type[L2Ball] | type[L1Ball]] = {"Linf": LinfBall, "L2": L2Ball, "L1": L1Ball}


def threat_model(threat: str | PerturbationSet, eps: float | None, domain: Domain) -> PerturbationSet:
    """The set of a threat model.

    Args:
        threat: a name in `THREATS`, or a set.
        eps: the radius; None with a set, which has its own.
        domain: the range of valid inputs, with a name.

    Raises:
        InvalidInputError: there is no such name, or no radius, or two.
    """
    if isinstance(threat, PerturbationSet):
        if eps is not None:
            raise InvalidInputError(f"the set has its own radius, so leave eps out: {threat.describe()}")
        return threat
    if threat not in THREATS:
        raise InvalidInputError(f"{threat!r} is no threat model; there are {', '.join(THREATS)}, and perturbation sets")
    if eps is None:
        raise InvalidInputError(f"the threat model {threat} needs a radius, such as eps=8/255")
    return THREATS[threat](eps, domain)
