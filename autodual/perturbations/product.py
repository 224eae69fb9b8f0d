"""Sets of several inputs at once: each perturbed in its own way, or fixed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from operator import index
from typing import Any

import torch
from torch import Tensor

from autodual.errors import InvalidInputError
from autodual.interval import Interval
from autodual.perturbations.balls import LinfBall
from autodual.perturbations.base import CentredNorms, PerturbationSet, Region, WeightedNorm, changed
from autodual.perturbations.view import View


@dataclass(frozen=True, eq=False)
class ProductSet(PerturbationSet):
    """All combinations of points of several sets; None fixes an input.

    Samples are the flattened inputs side by side, `[N, total]`; `shapes` are those of one sample of each input. Sets
    have a metric each, so tolerances are in the units of each set's own radius.
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

    @property
    def neighbourhood(self) -> bool:
        return all(part is None or part.neighbourhood for part in self.sets)

    def symmetric(self, x: Tensor) -> bool:
        self._check(x)
        parts = zip(self.sets, _split(x, self.shapes), self.shapes)
        return all(own is None or own.symmetric(part.reshape(-1, *shape)) for own, part, shape in parts)

    def bind(self, x: Tensor) -> ProductRegion:
        self._check(x)
        parts = [part.reshape(-1, *shape) for part, shape in zip(_split(x, self.shapes), self.shapes)]
        regions = tuple((LinfBall(0.0) if s is None else s).at(part) for s, part in zip(self.sets, parts))
        sources = tuple(None if given is None else region.source for given, region in zip(self.sets, regions))
        return ProductRegion(changed(self, sets=sources), x, regions)

    def _check(self, x: Tensor) -> None:
        """Raise InvalidInputError unless x are as many inputs of the right sizes side by side."""
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


@dataclass(frozen=True, eq=False)
class ProductRegion(Region):
    """The product bound to samples; `parts` are the regions of the inputs, `[N, *shape]` each."""

    parts: tuple[Region, ...]

    @property
    def superadditive(self) -> bool:  # type: ignore[override]
        return all(part.superadditive for part in self.parts)

    @property
    def independent(self) -> bool:  # type: ignore[override]
        return all(part.independent for part in self.parts)

    def enclosure(self) -> Interval:
        found = [part.enclosure() for part in self.parts]
        return Interval(_joined([one.lower for one in found]), _joined([one.upper for one in found]))

    def extremes(self, nu: Tensor, view: View) -> tuple[Tensor, Tensor]:
        lower, upper = nu.new_zeros(()), nu.new_zeros(())
        for part, rows in zip(self.parts, self._split(nu)):
            least, greatest = part.extremes(rows, _PartView(view, tuple(part.shape)))
            lower, upper = lower + least, upper + greatest
        return lower, upper

    def centred_norms(self) -> CentredNorms:
        """l1 norms of parts are one of the whole; every l2 norm is its own, of one part."""
        found = [part.centred_norms() for part in self.parts]
        ones: list[WeightedNorm] = []
        others: list[WeightedNorm] = []
        for place, part in enumerate(found):
            for norm in part.norms:
                alone = [torch.zeros_like(other.middle[:1]) for other in found]
                alone[place] = norm.weights
                (ones if norm.order == 1 else others).append(WeightedNorm(_side_by_side(alone), norm.order))
        if ones:
            others.insert(0, WeightedNorm(sum(norm.weights for norm in ones), 1))  # type: ignore[arg-type]
        return CentredNorms(_joined([part.middle for part in found]), tuple(others))

    def contains(self, points: Tensor, tolerance: float = 0.0) -> Tensor:
        inside = [part.contains(own, tolerance) for part, own in zip(self.parts, self._split(points))]
        return torch.stack(inside).all(0)

    def project(self, points: Tensor) -> Tensor:
        return self._each(points, lambda part, own: part.project(own))

    def steepest(self, gradient: Tensor) -> Tensor:
        return self._each(gradient, lambda part, own: part.steepest(own))

    def direction(self, gradient: Tensor) -> Tensor:
        return self._each(gradient, lambda part, own: part.direction(own))

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        return _joined([part.sample(count, generator) for part in self.parts], leading=2)

    def corners(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        return _joined([part.corners(count, generator) for part in self.parts], leading=2)

    def rounding(self) -> Tensor:
        return _joined([part.rounding() for part in self.parts])

    def select(self, index: Tensor | slice) -> ProductRegion:
        parts = tuple(part.select(index) for part in self.parts)
        assert isinstance(self.source, ProductSet)
        sets = tuple(None if given is None else part.source for given, part in zip(self.source.sets, parts))
        return ProductRegion(changed(self.source, sets=sets), self.centre[index], parts)

    def _split(self, values: Tensor) -> list[Tensor]:
        """Values `[*, total]` as those of each input, `[*, *shape]`."""
        pieces = values.split([part.shape.numel() for part in self.parts], dim=-1)
        return [piece.reshape(*values.shape[:-1], *part.shape) for piece, part in zip(pieces, self.parts)]

    def _each(self, values: Tensor, answer: Callable[[Region, Tensor], Tensor]) -> Tensor:
        found = [answer(part, own) for part, own in zip(self.parts, self._split(values))]
        return _joined(found, leading=values.dim() - 1)


@dataclass(frozen=True, eq=False)
class _PartView:
    """A view of one input of `shape` among those that lie side by side."""

    whole: View
    shape: tuple[int, ...]

    def features(self, values: Tensor) -> Tensor:
        found = self.whole.features(values.flatten(1))
        return found.reshape(*found.shape[:2], *self.shape)

    def samples(self, values: Tensor) -> Tensor:
        return self.whole.samples(values)


def _side_by_side(weights: list[Tensor]) -> Tensor:
    """Weights `[N or 1, *shape]` of all inputs, flattened and side by side."""
    count = max(weight.shape[0] for weight in weights)
    return _joined([weight.expand(count, *weight.shape[1:]) for weight in weights])


def _split(x: Tensor, shapes: tuple[tuple[int, ...], ...]) -> tuple[Tensor, ...]:
    return x.split([math.prod(shape) for shape in shapes], dim=1)


def _joined(values: list[Tensor], leading: int = 1) -> Tensor:
    """Values of all inputs flattened after their `leading` axes and put side by side."""
    return torch.cat([value.reshape(*value.shape[:leading], -1) for value in values], dim=-1)
