"""A product of sets placed around samples: every answer is made of the answers of its parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from autodual.errors import InvalidInputError
from autodual.interval import Interval
from autodual.perturbations.perturbation import PerturbationSet, PlacedSet, changed
from autodual.perturbations.regions.region import Region
from autodual.perturbations.regions.searchable import Searchable
from autodual.perturbations.regions.support import CentredNorms, Support, WeightedNorm
from autodual.perturbations.regions.view import View, padded
from autodual.tensors import flat


def placed_product(source: PerturbationSet, x: Tensor, parts: tuple[Any, ...], fixed: tuple[bool, ...]) -> PlacedSet:
    """The product of sets placed around each input: a Region, Support or Searchable if all its parts are.

    Raises InvalidInputError if they have neither in common: one part has no bounds and another cannot be searched.
    """
    for kind, product in ((Region, ProductRegion), (Support, _ProductSupport), (Searchable, _ProductSearch)):
        if all(isinstance(part, kind) for part in parts):
            return product(source, x, parts, fixed)
    raise InvalidInputError(
        f"this product can be neither bounded nor searched, since one part has no bounds and another cannot be "
        f"searched: {source.describe()}"
    )


@dataclass(frozen=True, eq=False)
class _Product(PlacedSet):
    """`parts` are the sets placed around each input `[N, *shape]`; `fixed` says which inputs are not perturbed."""

    parts: tuple[Any, ...]
    fixed: tuple[bool, ...]

    def select(self, index: Tensor | slice) -> Any:
        parts = tuple(part.select(index) for part in self.parts)
        sets = tuple(None if fixed else part.source for fixed, part in zip(self.fixed, parts))
        return type(self)(changed(self.source, sets=sets), self.centre[index], parts, self.fixed)

    def _split(self, values: Tensor) -> list[Tensor]:
        """Values `[*, total]` split by input, `[*, *shape]` each."""
        pieces = values.split([part.shape.numel() for part in self.parts], dim=-1)
        return [piece.reshape(*values.shape[:-1], *part.shape) for piece, part in zip(pieces, self.parts)]


@dataclass(frozen=True, eq=False)
class _ProductSupport(_Product, Support):
    """Extremes of a product are the sums of its parts' extremes."""

    @property
    def superadditive(self) -> bool:  # type: ignore[override]
        return all(part.superadditive for part in self.parts)

    @property
    def independent(self) -> bool:  # type: ignore[override]
        return all(part.independent for part in self.parts)

    @property
    def windowed(self) -> bool:  # type: ignore[override]
        return False  # inputs are flattened side by side: there are no axes for a window

    def working_scalars(self, entries: int) -> int:
        return max(part.working_scalars(part.shape.numel()) for part in self.parts)

    def enclosure(self) -> Interval:
        found = [part.enclosure() for part in self.parts]
        return Interval(_joined([one.lower for one in found]), _joined([one.upper for one in found]))

    def extremes(self, nu: Tensor, view: View) -> tuple[Tensor, Tensor]:
        lower, upper = nu.new_zeros(()), nu.new_zeros(())
        for part, rows, own in self._seen(nu, view):
            least, greatest = part.extremes(rows, own)
            lower, upper = lower + least, upper + greatest
        return lower, upper

    def least(self, nu: Tensor, view: View) -> Tensor:
        return sum((part.least(rows, own) for part, rows, own in self._seen(nu, view)), nu.new_zeros(()))

    def _seen(self, nu: Tensor, view: View) -> Iterator[tuple[Any, Tensor, View]]:
        """Each part, the rows over it, and its view."""
        for part, rows in zip(self.parts, self._split(nu)):
            yield part, rows, _PartView(view, tuple(part.shape))

    def centred_norms(self) -> CentredNorms:
        """The parts' l1 norms add up to one l1 norm of the whole; every l2 norm stays a norm of its part."""
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

    def reach(self) -> Tensor:
        return torch.stack([part.reach().double() for part in self.parts]).square().sum(0).sqrt()

    def rounding(self) -> Tensor:
        return _joined([part.rounding() for part in self.parts])


@dataclass(frozen=True, eq=False)
class _ProductSearch(_Product, Searchable):
    """The nearest, steepest or random point of a product is made of those of its parts."""

    def contains(self, points: Tensor, tolerance: float = 0.0) -> Tensor:
        inside = [part.contains(own, tolerance) for part, own in zip(self.parts, self._split(points))]
        return torch.stack(inside).all(0)

    def plausible(self, points: Tensor) -> Tensor:
        return torch.stack([part.plausible(own) for part, own in zip(self.parts, self._split(points))]).all(0)

    def project(self, points: Tensor) -> Tensor:
        return self.each(lambda part, own: part.project(own), points)

    def retract(self, points: Tensor) -> Tensor:
        return self.each(lambda part, own: part.retract(own), points)

    def steepest(self, gradient: Tensor) -> Tensor:
        return self.each(lambda part, own: part.steepest(own), gradient)

    def direction(self, gradient: Tensor) -> Tensor:
        return self.each(lambda part, own: part.direction(own), gradient)

    def each(self, answer: Callable[..., Tensor], *values: Tensor) -> Tensor:
        own = zip(*[self._split(value) for value in values])
        return _joined([part.each(answer, *mine) for part, mine in zip(self.parts, own)], leading=values[0].dim() - 1)

    @property
    def radii(self) -> Tensor:
        """Each feature's is that of its factor."""
        return _joined([part.radii.expand_as(part.centre) for part in self.parts])

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        return _joined([part.sample(count, generator) for part in self.parts], leading=2)

    def corners(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        return _joined([part.corners(count, generator) for part in self.parts], leading=2)


@dataclass(frozen=True, eq=False)
class ProductRegion(_ProductSupport, _ProductSearch, Region):
    """A product all of whose parts can be bounded and searched."""


@dataclass(frozen=True, eq=False)
class _PartView:
    """The view of whole `rows` restricted to one input, of the given shape."""

    rows: View
    shape: tuple[int, ...]
    whole: ClassVar[bool] = True

    def features(self, values: Tensor) -> Tensor:
        found = self.rows.features(flat(values))
        return found.reshape(*found.shape[:2], *self.shape)

    def around(self, values: Tensor, margin: Sequence[int]) -> Tensor:
        return padded(self.features(values), margin)

    def samples(self, values: Tensor) -> Tensor:
        return self.rows.samples(values)


def _side_by_side(weights: list[Tensor]) -> Tensor:
    """Weights `[N or 1, *shape]` of all inputs, flattened and side by side."""
    count = max(weight.shape[0] for weight in weights)
    return _joined([weight.expand(count, *weight.shape[1:]) for weight in weights])


def _joined(values: list[Tensor], leading: int = 1) -> Tensor:
    """Values of all inputs flattened after their `leading` axes and put side by side."""
    return torch.cat([value.reshape(*value.shape[:leading], -1) for value in values], dim=-1)
