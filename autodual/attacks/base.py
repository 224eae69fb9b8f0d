"""The interface of attacks, and the check that a point they found is a counterexample."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, TypeAlias

import torch
from torch import Tensor

from autodual.errors import InvalidInputError
from autodual.perturbations import Searchable, require_searchable
from autodual.specs import Specification
from autodual.tensors import flat

Function: TypeAlias = Callable[[Tensor], Tensor]


class Attack(ABC):
    """A search for points of a region where a specification fails; a frozen dataclass whose fields are its options."""

    #: Whether `run` itself makes use of all members of a union; others are run on each member (`attack_members`).
    joint: ClassVar[bool] = False

    @abstractmethod
    def run(
        self,
        function: Function,
        region: Searchable,
        specification: Specification,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """For each sample, the point `[N, *shape]` of the region with the lowest margin seen.

        Args:
            function: maps samples `[N, *shape]` to outputs of any shape, sample by sample; put a network in evaluation
                mode first. Its training flags, buffers and parameters' gradients stay as they are.
            region: the set, placed around N samples.
            specification: what should hold at every point of the region.
            generator: of random starts; None uses the attack's own seed.
        """


def given_attack(attack: Any) -> Attack:
    """The attack that a caller gives.

    Args:
        attack: anything.

    Raises:
        InvalidInputError: it is no attack, such as the class of one.

    Example:
        >>> from autodual.attacks import Pgd
        >>> from autodual.attacks.base import given_attack
        >>> given_attack(Pgd(steps=5)).steps
        5
    """
    if isinstance(attack, Attack):
        return attack
    raise InvalidInputError(f"attack must be an attack, such as autodual.attacks.Pgd(), but is {attack!r}")


@torch.no_grad()
def counterexamples(function: Function, region: Searchable, specification: Specification, points: Tensor) -> Tensor:
    """Which `points` lie in the region and strictly violate the specification.

    The function is evaluated again, so that nothing an attack has computed is trusted.

    Args:
        function: maps `[N, *shape]` to `[N, K]`, sample by sample.
        region: the set, placed around N samples.
        specification: what should hold at every point of the region.
        points: one for each sample, `[N, *shape]`.

    Returns:
        bool `[N]`.

    Example:
        >>> import autodual, torch
        >>> from autodual.specs import ClassMargin
        >>> region = autodual.LinfBall(0.5).at(torch.tensor([[1.0, 0.8]]))
        >>> points = torch.tensor([[0.6, 1.2]])
        >>> autodual.attacks.counterexamples(lambda z: z, region, ClassMargin(torch.tensor([0])), points)
        tensor([True])
    """
    require_searchable(region)
    rows = specification.rows(function(region.centre))
    violated = specification.margin(rows.values(flat(function(points)))) < 0
    return region.contains_where(violated, points)
