"""What each source of mass is offered for a move, row by row: the part that exact and smooth bounds share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import torch
from torch import Tensor

from autodual.perturbations.wasserstein.support_question import Question

_Offers = TypeVar("_Offers", bound="Offers")


@dataclass(frozen=True, eq=False)
class Offers(ABC):
    """A block of rows on its canvas, and what mass gains there beyond the price of moving it.

    Args:
        asked: a block of rows.
        whole: the rows, or the rows and their negatives (the `ends`), as `Canvas.laid_out` makes them.
        ends: 1 or 2.
    """

    asked: Question
    whole: Tensor
    ends: int

    @classmethod
    def to(cls: type[_Offers], asked: Question, *, both: bool, **more: Any) -> _Offers:
        """The offers of rows, or of rows and their negatives if `both`; `more` are fields of a subclass."""
        rows, penalty = asked.rows, asked.penalty
        if penalty is not None and rows.shape[0] < penalty.shape[0]:
            rows = rows.expand(penalty.shape[0], *rows.shape[1:])
        if penalty is not None:
            penalty = penalty.expand(rows.shape[0], asked.count, *rows.shape[2:]).flatten(0, 1)
        whole = asked.canvas.laid_out(rows.flatten(0, 1), both, penalty)
        return cls(asked=asked, whole=whole, ends=2 if both else 1, **more)

    @property
    @abstractmethod
    def gains(self) -> Sequence[Tensor]:
        """What each source gains by a move to each ring but that of staying, `[ends, G, K, P]`, its price left out."""

    @abstractmethod
    def prices(self) -> Tensor:
        """The price found for each row, the one below and the one above, `[3, ends, G, K]`."""

    @abstractmethod
    def worth(self, price: Tensor) -> Tensor:
        """What moving one unit of mass from each source gains beyond its price, `[ends, G, K, P]`; at least 0.

        Args:
            price: `[ends, G, K]`.
        """

    @abstractmethod
    def moved(self, prices: Tensor, weight: Tensor) -> Tensor:
        """What arrives at each pixel minus what leaves it, times a weight `[ends, G, K]` of each row.

        Args:
            prices: as `prices` returns them.
            weight: of each row.

        Returns:
            `[ends, G, K, channels, height, width]`.
        """

    @property
    def shape(self) -> tuple[int, int, int]:
        """`(ends, G, K)`."""
        return self.ends, self.asked.groups, self.asked.count

    @cached_property
    def places(self) -> Tensor:
        """Where sources lie on the canvas of a row, `[ends, G, K, P]`."""
        found = self.asked.canvas.positions(self.asked.sources.pixels)
        return found.unsqueeze(1).expand(*self.shape, -1)

    @cached_property
    def mass(self) -> Tensor:
        """At each source, `[ends, G, K, P]`."""
        return self.asked.sources.mass.unsqueeze(1).expand(*self.shape, -1)

    @property
    def budget(self) -> Tensor:
        """Of each row, `[ends, G, K]`."""
        return self.asked.budget.unsqueeze(1).expand(*self.shape)

    @cached_property
    def costs(self) -> list[float]:
        """Of a move to each ring."""
        return [ring.cost for ring in self.asked.canvas.moves.rings[1:]]

    def here(self) -> Tensor:
        """The rows' values at the sources themselves, `[ends, G, K, P]`."""
        size = self.shape[1:]
        pixels = self.asked.sources.pixels.unsqueeze(1).expand(*size, -1)
        found = self.asked.rows.flatten(2).expand(*size, -1).gather(-1, pixels)
        return torch.stack([found, -found][: self.ends])

    def at_sources(self, laid_out: Tensor) -> Tensor:
        """Values of rows' pixels `[*, canvas.size]` at the sources, `[ends, G, K, P]`."""
        rows = laid_out.reshape(self.ends, -1, self.asked.count, self.asked.canvas.size)
        return rows.expand(*self.shape, -1).gather(-1, self.places)

    def value(self, price: Tensor) -> Tensor:
        """F at a price `[ends, G, K]`, minus <y, x>; rounded once to its dtype from sums in float64."""
        moved = self.worth(price).mul_(self.mass).sum(-1, dtype=torch.float64)
        return (moved + price.double() * self.budget.double()).to(price.dtype)
