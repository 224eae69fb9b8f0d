"""What bounds need of a set: its support function (extremes of linear functions), and what computing it costs."""

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
from autodual.tensors import flat

# A set is round if all of it is nearer to its centre than this share of the way to its box's furthest corner.
_NEAR = 0.5


@dataclass(frozen=True, eq=False)
class WeightedNorm:
    """The norm ‖weights · ν‖ of rows ν.

    Args:
        weights: `[N, *shape]`, or `[1, *shape]` if all samples share them.
        order: 1 or 2.

    Example:
        >>> import autodual, torch
        >>> autodual.LinfBall(0.5).at(torch.zeros(1, 2)).centred_norms().norms[0].order
        1
    """

    weights: Tensor
    order: int


@dataclass(frozen=True, eq=False)
class CentredNorms:
    """A set given by its middle m and norms: <ν, z> lies in <ν, m> ± Σ norms of ν.

    Both ends are attained, unless the set's own docstring says otherwise.

    Args:
        middle: `[N, *shape]`.
        norms: see `WeightedNorm`.

    Example:
        >>> import autodual, torch
        >>> found = autodual.L2Ball(0.5).at(torch.zeros(1, 2)).centred_norms()
        >>> found.norms[0].order, found.norms[0].weights
        (2, tensor([[0.5000, 0.5000]]))
    """

    middle: Tensor
    norms: tuple[WeightedNorm, ...]


@dataclass(frozen=True, eq=False)
class Support(PlacedSet):
    """A placed set over which linear functions can be bounded: all that certifying and training on bounds need.

    `source` and `centre` are those of `PlacedSet`.
    """

    #: Whether the minimum m(ν) from `extremes` is superadditive, m(ν + μ) ≥ m(ν) + m(μ), as the exact minimum is. Only
    #: then may rows be skipped because the bounds of other rows decide them.
    superadditive: ClassVar[bool] = True

    #: Whether features move independently of one another, so that the set is its own enclosure.
    independent: ClassVar[bool] = False

    #: Whether `extremes` takes rows over a window of the input; if not, it is given whole rows.
    windowed: ClassVar[bool] = True

    @abstractmethod
    def enclosure(self) -> Interval:
        """An elementwise interval `[N, *shape]` around the set, the tightest one if it is known."""

    @abstractmethod
    def extremes(self, nu: Tensor, view: View) -> tuple[Tensor, Tensor]:
        """The minimum and the maximum of <nu, z> over z in the set, `[G, K]` each.

        If the exact values are out of reach, a lower bound of the minimum and an upper bound of the maximum.

        Args:
            nu: rows of cotangents `[G or 1, K, *extent]`, zero outside the input; 1 if all G groups share them.
            view: aligns the set's tensors with the rows.
        """

    def least(self, nu: Tensor, view: View) -> Tensor:
        """The minimum alone, `[G, K]`; by default the first of `extremes`, for sets where both cost as much as one.

        Args:
            nu: as in `extremes`.
            view: as in `extremes`.
        """
        return self.extremes(nu, view)[0]

    def extremes_within(self, nu: Tensor, view: View, part: Interval) -> tuple[Tensor, Tensor] | None:
        """As `extremes`, over what an interval leaves of the set; None, the default: no better than the set's and the
        interval's extremes by themselves. Both allow for all of their rounding.

        Args:
            nu: as in `extremes`.
            view: as in `extremes`.
            part: of each group, `[G or 1, 1, *extent]`.
        """
        return None

    @abstractmethod
    def rounding(self) -> Tensor:
        """`[N, *shape]`: how far the real set may reach beyond `enclosure`, by rounding in this dtype.

        It also covers the rounding of `extremes`, except that of a sum of as many terms as a sample has features, each
        as large as the row's entry times the enclosure's magnitude: the engine, which knows the rows, adds that.
        """

    def reach(self) -> Tensor:
        """`[N]`: at most how far a point of the set is from `centre`, in the Euclidean norm; `rounding` comes on top.

        By default the furthest corner of `enclosure`, which is right for every set.
        """
        enclosure = self.enclosure()
        furthest = (enclosure.upper - self.centre).maximum(self.centre - enclosure.lower)
        return torch.linalg.vector_norm(flat(furthest.double()), dim=1)

    def is_round(self) -> bool:
        """Whether the set is far from its box's corners, as a Euclidean ball of many features is, so that balls around
        a network's values are worth their time.
        """
        return bool((self.reach() <= _NEAR * Support.reach(self)).all())

    def working_scalars(self, entries: int) -> int:
        """How many scalars `extremes` holds for one row of this many entries, beyond a few copies of the row.

        Counted in the memory budget. 0, the default, is right for a set that makes one or two copies of its rows.

        Args:
            entries: of the row.
        """
        return 0

    def centred_norms(self) -> CentredNorms:
        """The set as random projections need it, if its support function is a sum of l1 and l2 norms.

        Raises InvalidInputError if it is not.
        """
        raise InvalidInputError(
            f"random projections estimate l1 and l2 norms, which do not describe this set: {self.source.describe()}; "
            "use an l∞ or l2 ball or a box, or the exact bound"
        )


def require_support(placed: PlacedSet) -> Support:
    """`placed` itself, checked to be a Support.

    Args:
        placed: a set around samples.

    Raises:
        InvalidInputError: the set is no Support.

    Example:
        >>> import autodual, torch
        >>> from autodual.perturbations import require_support
        >>> require_support(autodual.LinfBall(0.5).at(torch.zeros(1, 2))).superadditive
        True
    """
    if not isinstance(placed, Support):
        raise InvalidInputError(
            "bounds need the least values of linear functions over the set, but this set does not give them (it is no "
            f"Support): {placed.source.describe()}; it can only be used for attacks"
        )
    return placed


def end_rounding(region: Support) -> Tensor:
    """How far rounding may move the ends of an enclosure that are given, or computed as `x ± number`.

    An end is a sum of two rounded numbers, each at most |centre| + |end|, or a given end, rounded. The same is true of
    the centre and half-width of two ends. Eight unit roundoffs (`eps` / 2 each) cover all of it.

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
