"""What bounds ask of a set: the least and greatest value of linear functions over it, and what that costs."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from autodual.errors import InvalidInputError
from autodual.interval import Interval
from autodual.perturbations.perturbation import PlacedSet
from autodual.perturbations.regions.view import View


@dataclass(frozen=True, eq=False)
class WeightedNorm:
    """‖weights · ν‖ of the order 1 or 2, with weights `[N, *shape]`, or `[1, *shape]` if all samples share them."""

    weights: Tensor
    order: int


@dataclass(frozen=True, eq=False)
class CentredNorms:
    """A set by its middle `[N, *shape]`: <ν, z> is at most that of the middle plus the sum of the norms, and at least
    their difference; exactly so, unless the set says otherwise.
    """

    middle: Tensor
    norms: tuple[WeightedNorm, ...]


@dataclass(frozen=True, eq=False)
class Support(PlacedSet):
    """A placed set that linear functions can be bounded over: all that certifying and training on bounds need."""

    #: Whether the minimum that `extremes` gives is superadditive in `nu`, as an exact one is: that of a sum is at
    #: least the sum of theirs. Only then may rows be skipped that the bounds of other rows have decided.
    superadditive: ClassVar[bool] = True

    #: Whether features move independently of one another, so that the set is its own enclosure.
    independent: ClassVar[bool] = False

    #: Whether `extremes` takes rows over a window of the input; where it does not, it is handed whole rows.
    windowed: ClassVar[bool] = True

    @abstractmethod
    def enclosure(self) -> Interval:
        """An elementwise interval `[N, *shape]` around the set, the tightest where that is known."""

    @abstractmethod
    def extremes(self, nu: Tensor, view: View) -> tuple[Tensor, Tensor]:
        """The minimum and the maximum of <nu, z> over z in the set, `[G, K]` each.

        `nu` `[G or 1, K, *extent]` are rows of cotangents, zero outside the input; 1 in place of G if all groups share
        them. Where the set is too hard, the first is a lower and the second an upper bound.
        """

    @abstractmethod
    def rounding(self) -> Tensor:
        """`[N, *shape]`: how far the real set may reach beyond `enclosure`, by rounding in this dtype.

        It also covers what `extremes` loses to rounding beyond that of sums of as many terms as a sample has features,
        each of the enclosure's magnitude times the row's entry; that much is for those who know the rows.
        """

    def working_scalars(self, entries: int) -> int:
        """How many scalars `extremes` holds for one row of so many entries, beyond a few times the row itself.

        Counted in the memory budget. 0, the default, is right for a set that makes no more than a copy or two of rows.
        """
        return 0

    def centred_norms(self) -> CentredNorms:
        """The set as random projections can see it, where its support function is a sum of l1 and l2 norms.

        Raises InvalidInputError for other sets.
        """
        raise InvalidInputError(
            f"random projections estimate l1 and l2 norms, which do not describe this set: {self.source.describe()}; "
            "use an l∞ or l2 ball or a box, or the exact bound"
        )


def require_support(placed: PlacedSet) -> Support:
    """The placed set as bounds see it.

    Args:
        placed: a set around samples.

    Raises:
        InvalidInputError: the set says nothing of linear functions over it.

    Example:
        >>> import autodual, torch
        >>> from autodual.perturbations import require_support
        >>> require_support(autodual.LinfBall(0.5).at(torch.zeros(1, 2))).superadditive
        True
    """
    if not isinstance(placed, Support):
        raise InvalidInputError(
            "bounds need the least values of linear functions over the set, which this set does not give (it is no "
            f"Support): {placed.source.describe()}; it can only be attacked"
        )
    return placed


def end_rounding(region: Support) -> Tensor:
    """How far the ends of a set's enclosure may be off, where they are made as `x ± number` or are given.

    An end is a sum of two rounded numbers, each at most |centre| + |end|, or a rounded end as given. So is the
    centre or half-width made of two ends. Eight units in the last place (half of `eps` each) cover all of it.

    Args:
        region: a set around samples.

    Returns:
        `[N, *shape]`.

    Example:
        >>> import autodual, torch
        >>> from autodual.extend import end_rounding
        >>> bool((end_rounding(autodual.LinfBall(0.5).at(torch.ones(1, 2))) < 2e-6).all())
        True
    """
    limits = torch.finfo(region.centre.dtype)
    size = region.centre.abs() + region.enclosure().magnitude
    return (4 * limits.eps * size + limits.tiny).detach()
