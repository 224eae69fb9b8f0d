"""Sets of several inputs at once: each perturbed in its own way, or fixed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from operator import index
from typing import Any

from torch import Tensor

from autodual.errors import InvalidInputError
from autodual.perturbations.balls.norm_balls import LinfBall
from autodual.perturbations.perturbation import PerturbationSet, PlacedSet, changed
from autodual.perturbations.product_region import placed_product


@dataclass(frozen=True, eq=False)
class ProductSet(PerturbationSet):
    """All combinations of points of several sets. Samples are the flattened inputs side by side, `[N, total]`.

    Tolerances apply to each set in the units of its own radius.

    Args:
        sets: one for each input; None fixes the input.
        shapes: the shape of one sample of each input.

    Raises:
        InvalidInputError: something else is among `sets` or `shapes`, or they differ in number.

    Example:
        >>> import autodual, torch
        >>> both = autodual.ProductSet((autodual.LinfBall(0.5), None), ((2,), (1,)))
        >>> both.at(torch.zeros(1, 3)).enclosure().upper
        tensor([[0.5000, 0.5000, 0.0000]])
    """

    sets: tuple[PerturbationSet | None, ...]
    shapes: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "sets", tuple(self.sets))
        for part in self.sets:
            if part is not None and not isinstance(part, PerturbationSet):
                raise InvalidInputError(
                    f"a product is made of perturbation sets, or None for an input that is fixed, not of {part!r}"
                )
        try:
            object.__setattr__(self, "shapes", tuple(tuple(map(index, shape)) for shape in self.shapes))
        except TypeError:
            raise InvalidInputError(
                f"the shapes of a product's inputs must be tuples of whole numbers, but are {self.shapes!r}"
            ) from None
        if len(self.sets) != len(self.shapes):
            raise InvalidInputError(
                f"a product needs one set for each input, but has {len(self.sets)} for {len(self.shapes)} shapes"
            )

    def members(self) -> tuple[PerturbationSet, ...]:
        """The products of one member of each set."""
        choices = product(*[(None,) if part is None else part.members() for part in self.sets])
        return tuple(changed(self, sets=chosen) for chosen in choices)

    def scaled(self, factor: float) -> ProductSet:
        return changed(self, sets=tuple(None if part is None else part.scaled(factor) for part in self.sets))

    @property
    def neighbourhood(self) -> bool:
        return all(part is None or part.neighbourhood for part in self.sets)

    def symmetric(self, x: Tensor) -> bool:
        self._check(x)
        parts = zip(self.sets, _split(x, self.shapes), self.shapes)
        return all(own is None or own.symmetric(part.reshape(-1, *shape)) for own, part, shape in parts)

    def bind(self, x: Tensor) -> PlacedSet:
        self._check(x)
        parts = [part.reshape(-1, *shape) for part, shape in zip(_split(x, self.shapes), self.shapes)]
        placed = tuple((LinfBall(0.0) if s is None else s).at(part) for s, part in zip(self.sets, parts))
        fixed = tuple(given is None for given in self.sets)
        sources = tuple(None if given is None else part.source for given, part in zip(self.sets, placed))
        return placed_product(changed(self, sets=sources), x, placed, fixed)

    def _check(self, x: Tensor) -> None:
        """Raise InvalidInputError unless x is `[N, total]`."""
        total = sum(map(math.prod, self.shapes))
        if tuple(x.shape[1:]) != (total,):
            raise InvalidInputError(
                f"a product of {len(self.sets)} sets over inputs of the shapes {list(map(list, self.shapes))} needs "
                f"samples of the shape [{total}], but got {list(x.shape[1:])}"
            )

    def describe(self) -> str:
        words = ["fixed" if part is None else part.describe() for part in self.sets]
        return "; ".join(f"input {place}: {text}" for place, text in enumerate(words))

    def settings(self) -> dict[str, Any]:
        return {"set": "ProductSet", "sets": [None if part is None else part.settings() for part in self.sets]}


def _split(x: Tensor, shapes: tuple[tuple[int, ...], ...]) -> tuple[Tensor, ...]:
    return x.split([math.prod(shape) for shape in shapes], dim=1)
