"""What attacks need of a set: membership, projection, steepest ascent, and random points."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from autodual.errors import InvalidInputError
from autodual.perturbations.perturbation import PlacedSet
from autodual.tensors import flat


@dataclass(frozen=True, eq=False)
class Searchable(PlacedSet):
    """A placed set that can be searched for counterexamples. Points are `[*, N, *shape]`, with any leading axes.

    `source` and `centre` are those of `PlacedSet`.
    """

    @cached_property
    def members(self) -> tuple[Searchable, ...]:
        """The sets whose union this is, around the same samples: itself alone, unless it is made of several."""
        sets = self.source.members()
        return (self,) if len(sets) == 1 else tuple(require_searchable(one.bind(self.centre)) for one in sets)

    @property
    def norm_order(self) -> float | None:
        """The order of the norm whose ball this is, before it was cut down to a domain; None if it is another set."""
        return None

    @property
    def radii(self) -> Tensor:
        """The unit of attacks' steps, which broadcasts to samples: a ball's radius, else the largest half-width."""
        widths = self.direction(torch.ones_like(self.centre)).abs()
        return self.per_feature(flat(widths).amax(1))

    @property
    def projection_free(self) -> bool:
        """Whether attacks had better walk towards steepest points than step out of the set and project: by default not.

        True of convex sets whose projection costs far more than their steepest point.
        """
        return False

    def enlarged(self, factor: float) -> Searchable:
        """The set with a radius `factor` times as large, around the same samples; its domain stays.

        Args:
            factor: at least 0.

        Raises:
            InvalidInputError: the set has no radius.
        """
        return require_searchable(self.source.scaled(factor).bind(self.centre))

    def each(self, answer: Callable[..., Tensor], *values: Tensor) -> Tensor:
        """Values `[*, N, *shape]` made factor by factor: of a set that is no product, `answer(self, *values)`.

        Args:
            answer: called as `answer(factor, *values)` for each factor, with the factor's own features.
            values: `[*, N, *shape]`.
        """
        return answer(self, *values)

    @abstractmethod
    def contains(self, points: Tensor, tolerance: float = 0.0) -> Tensor:
        """Whether each point lies in the set: bool `[*, N]`; a point with NaN never does.

        Args:
            points: `[*, N, *shape]`, in the set's dtype.
            tolerance: how far outside a point may lie, in the units of the radius.
        """

    def plausible(self, points: Tensor) -> Tensor:
        """Whether each point may lie in the set, bool `[*, N]`: true of every point that does; by default `contains`.

        Attacks ask it of every point on their way, and `contains` only of those that they claim to have found. It is
        for sets to which the exact answer is dear.

        Args:
            points: `[*, N, *shape]`.
        """
        return self.contains(points)

    def contains_where(self, asked: Tensor, points: Tensor) -> Tensor:
        """Whether each point `[N, *shape]` that is asked about lies in the set, bool `[N]`; False of the others.

        Args:
            asked: bool `[N]`.
            points: one for each sample.
        """
        if asked.all():
            return self.contains(points)
        index = asked.nonzero().squeeze(1)
        return asked.index_copy(0, index, self.select(index).contains(points[index])) if len(index) else asked

    @abstractmethod
    def project(self, points: Tensor) -> Tensor:
        """The nearest points of the set in the Euclidean norm (near ones, if the set's own docstring says so).

        Args:
            points: `[*, N, *shape]`.

        Returns:
            Points of the same shape that pass `contains` with no tolerance: rounding goes inward.
        """

    def retract(self, points: Tensor) -> Tensor:
        """Points of the set in which ascent along `direction` comes to rest at the steepest one; by default `project`.

        In balls that are neither flat nor round the nearest point is another, and takes longer to find.

        Args:
            points: `[*, N, *shape]`.
        """
        return self.project(points)

    def towards(self, points: Tensor, aim: Tensor, share: Tensor | float) -> Tensor:
        """A share of the way from points of the set to others, `[*, N, *shape]`, and if need be back into the set.

        Args:
            points: where the way begins.
            aim: where it ends.
            share: from 0 to 1, a number or a tensor that broadcasts to points.
        """
        return self.retract(points + share * (aim - points))

    @abstractmethod
    def steepest(self, gradient: Tensor) -> Tensor:
        """A point that maximises <gradient, z> over the set (or nearly, if the set's own docstring says so).

        Args:
            gradient: `[*, N, *shape]`.
        """

    @abstractmethod
    def direction(self, gradient: Tensor) -> Tensor:
        """A step of steepest ascent in the set's own norm, as long as from the middle of the set to its edge.

        Args:
            gradient: `[*, N, *shape]`.
        """

    @abstractmethod
    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Random points of the set `[count, N, *shape]`, many of them on its boundary.

        Args:
            count: points per sample.
            generator: of the random numbers, on the set's device; None: torch's global one.
        """

    @abstractmethod
    def corners(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Random extreme points `[count, N, *shape]`: vertices of a box or an l1 ball, the sphere of a round ball.

        Args:
            count: points per sample.
            generator: as in `sample`.
        """


def require_searchable(placed: PlacedSet, who: str = "an attack") -> Searchable:
    """`placed` itself, checked to be Searchable.

    Args:
        placed: a set around samples.
        who: what needs to search it, for the message.

    Raises:
        InvalidInputError: the set is not Searchable.

    Example:
        >>> import autodual, torch
        >>> from autodual.perturbations import require_searchable
        >>> region = require_searchable(autodual.LinfBall(0.5).at(torch.zeros(1, 2)))
        >>> region.contains(torch.tensor([[0.5, 0.6]]))
        tensor([False])
    """
    if not isinstance(placed, Searchable):
        raise InvalidInputError(
            f"{who} needs to know which points the set contains, but this set does not say (it is not Searchable): "
            f"{placed.source.describe()}; it can only be used for bounds"
        )
    return placed
