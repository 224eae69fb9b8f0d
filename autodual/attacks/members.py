"""An attack on a union of sets: on each member by itself, of which the worst point counts."""

from __future__ import annotations

import torch
from torch import Tensor

from autodual.attacks.base import Attack, Function
from autodual.attacks.evaluation_mode import unchanged
from autodual.perturbations import Searchable, require_searchable
from autodual.specs import Specification
from autodual.tensors import flat


@torch.no_grad()
def attack_members(
    attack: Attack,
    function: Function,
    region: Searchable,
    specification: Specification,
    generator: torch.Generator | None = None,
) -> Tensor:
    """The points `[N, *shape]` of lowest margin that an attack finds in any member of the set.

    Of a set that is no union, and by an attack that takes unions as a whole, simply what it finds.

    Args:
        attack: any attack.
        function: maps `[N, *shape]` to outputs, sample by sample.
        region: the set, bound to N samples.
        specification: what should hold at every point of the region.
        generator: of random numbers; without one, each member is attacked with the attack's own seed.

    Example:
        >>> import autodual, torch
        >>> from autodual.attacks import Pgd, attack_members
        >>> from autodual.specs import ClassMargin
        >>> region = autodual.Union(autodual.L1Ball(0.1), autodual.LinfBall(0.5)).at(torch.tensor([[1.0, 0.8]]))
        >>> attack_members(Pgd(steps=5), lambda z: z, region, ClassMargin(torch.tensor([0])))
        tensor([[0.5000, 1.3000]])
    """
    if attack.joint or len(require_searchable(region).members) == 1:
        return attack.run(function, region, specification, generator)
    found = torch.stack([attack.run(function, member, specification, generator) for member in region.members])
    with unchanged(function):
        rows = specification.rows(function(region.centre))
        margins = torch.stack([specification.margin_of(rows, flat(function(points))) for points in found])
    return lowest(found, margins)


def lowest(points: Tensor, margins: Tensor) -> Tensor:
    """Of points `[M, N, *shape]` those of the least margin `[M, N]` of each sample."""
    best = ranked(margins).argmin(0)
    return points[best, torch.arange(best.shape[0], device=best.device)]


def ranked(margins: Tensor) -> Tensor:
    """Margins in which NaN, which refutes nothing, is infinite."""
    return margins.nan_to_num(torch.inf, torch.inf, -torch.inf)
