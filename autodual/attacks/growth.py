"""Radii that grow during an ascent."""

from __future__ import annotations

from dataclasses import dataclass

from autodual.errors import InvalidInputError
from autodual.perturbations import Searchable


@dataclass(frozen=True)
class Growth:
    """Steps in ever larger sets, the last of which is the whole one, so that near points are found first.

    Args:
        factor: by which the radius grows each time, at least 1; 1: the whole set from the first step on.
        every: the steps after which it grows.

    Raises:
        InvalidInputError: a factor below 1, or fewer than one step.

    Example:
        >>> from autodual.attacks.growth import Growth
        >>> [round(2.07 * Growth(1.4, every=5).share(step, 50), 2) for step in (0, 4, 5, 44, 45, 49)]
        [0.1, 0.1, 0.14, 1.48, 2.07, 2.07]
    """

    factor: float = 1.0
    every: int = 1

    def __post_init__(self) -> None:
        if not self.factor >= 1 or self.every < 1:
            raise InvalidInputError(
                f"a radius grows by a factor of at least 1 after at least one step, not by {self.factor} after "
                f"{self.every} steps"
            )

    def share(self, step: int, steps: int) -> float:
        """The radius of a step, as a share of the whole set's."""
        return self.factor ** -((steps - 1 - step) // self.every)

    def at(self, whole: Searchable, step: int, steps: int) -> Searchable:
        """The set of a step.

        Args:
            whole: the set in which the ascent ends, placed around N samples; with a radius, if the factor is not 1.
            step: from 0 on.
            steps: of the ascent.
        """
        share = self.share(step, steps)
        return whole if share == 1 else whole.enlarged(share)
