"""A union of sets placed around samples: every question is put to the members, and the most extreme answer counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from autodual.errors import InvalidInputError
from autodual.interval import Interval
from autodual.perturbations.perturbation import PerturbationSet, PlacedSet, changed
from autodual.perturbations.regions.region import Region
from autodual.perturbations.regions.row_norms import flatten
from autodual.perturbations.regions.searchable import Searchable
from autodual.perturbations.regions.support import Support
from autodual.perturbations.regions.view import View


def placed_union(source: PerturbationSet, x: Tensor, parts: tuple[Any, ...]) -> PlacedSet:
    """The union of placed sets; it can be asked what all of its members can be asked.

    Raises InvalidInputError where that is nothing, since one member has no bounds and another cannot be searched.
    """
    for kind, union in ((Region, UnionRegion), (Support, _UnionSupport), (Searchable, _UnionSearch)):
        if all(isinstance(part, kind) for part in parts):
            return union(source, x, parts)
    raise InvalidInputError(
        f"this union can be neither bounded nor searched, since one member has no bounds and another cannot be "
        f"searched: {source.describe()}"
    )


@dataclass(frozen=True, eq=False)
class _Union(PlacedSet):
    """`parts` are the members, each placed around the same samples."""

    parts: tuple[Any, ...]

    def select(self, index: Tensor | slice) -> Any:
        parts = tuple(part.select(index) for part in self.parts)
        source = changed(self.source, sets=tuple(part.source for part in parts))
        return type(self)(source, self.centre[index], parts)


@dataclass(frozen=True, eq=False)
class _UnionSupport(_Union, Support):
    """The least value over a union is the least of the members' least values; so it is of their convex hull."""

    @property
    def superadditive(self) -> bool:  # type: ignore[override]
        """The least of superadditive functions is one."""
        return all(part.superadditive for part in self.parts)

    @property
    def windowed(self) -> bool:  # type: ignore[override]
        return all(part.windowed for part in self.parts)

    def working_scalars(self, entries: int) -> int:
        return max(part.working_scalars(entries) for part in self.parts)

    def enclosure(self) -> Interval:
        found = [part.enclosure() for part in self.parts]
        lower, upper = (torch.stack(ends) for ends in ([one.lower for one in found], [one.upper for one in found]))
        return Interval(lower.amin(0), upper.amax(0))

    def extremes(self, nu: Tensor, view: View) -> tuple[Tensor, Tensor]:
        lower, upper = zip(*[part.extremes(nu, view) for part in self.parts])
        return _least(lower), -_least([-end for end in upper])

    def least(self, nu: Tensor, view: View) -> Tensor:
        return _least([part.least(nu, view) for part in self.parts])

    def rounding(self) -> Tensor:
        """Each end is that of one member."""
        return torch.stack([part.rounding() for part in self.parts]).amax(0)


@dataclass(frozen=True, eq=False)
class _UnionSearch(_Union, Searchable):
    """A point of a union is a point of a member."""

    def contains(self, points: Tensor, tolerance: float = 0.0) -> Tensor:
        return torch.stack([part.contains(points, tolerance) for part in self.parts]).any(0)

    def plausible(self, points: Tensor) -> Tensor:
        return torch.stack([part.plausible(points) for part in self.parts]).any(0)

    def project(self, points: Tensor) -> Tensor:
        """The nearest of the members' projections; as exact as they are."""
        found = torch.stack([part.project(points) for part in self.parts])
        return self._chosen(found, -self._inner(found - points, found - points))

    def steepest(self, gradient: Tensor) -> Tensor:
        return self._highest(gradient, [part.steepest(gradient) for part in self.parts])

    def direction(self, gradient: Tensor) -> Tensor:
        """The step of the member in which a linear function gains most."""
        return self._highest(gradient, [part.direction(gradient) for part in self.parts])

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        return self._mixed([part.sample(count, generator) for part in self.parts], generator)

    def corners(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        return self._mixed([part.corners(count, generator) for part in self.parts], generator)

    def _highest(self, gradient: Tensor, found: list[Tensor]) -> Tensor:
        points = torch.stack(found)
        return self._chosen(points, self._inner(points, gradient))

    def _mixed(self, found: list[Tensor], generator: torch.Generator | None) -> Tensor:
        """Each point from a member that is drawn for it, all being equally likely."""
        points = torch.stack(found)
        size = points.shape[: -len(self.shape)] if self.shape else points.shape
        return self._chosen(points, torch.rand(size, generator=generator, device=points.device))

    def _inner(self, first: Tensor, second: Tensor) -> Tensor:
        """<first, second> `[members, *, N]`, in float64, for the members' values differ by little."""
        product = first.double() * second.double()
        return flatten(product, product.dim() - len(self.shape)).sum(-1)

    def _chosen(self, points: Tensor, score: Tensor) -> Tensor:
        """Of points `[members, *, N, *shape]` those of the members with the highest score `[members, *, N]`."""
        best = self.per_feature(score.argmax(0, keepdim=True)).expand(1, *points.shape[1:])
        return points.gather(0, best)[0]


@dataclass(frozen=True, eq=False)
class UnionRegion(_UnionSupport, _UnionSearch, Region):
    """A union all of whose members can be bounded and searched."""


def _least(members: Sequence[Tensor]) -> Tensor:
    """The least of the members' lower bounds; NaN where one is infinity, which is overflow and not a bound."""
    found = torch.stack(tuple(members))
    return found.masked_fill(found == torch.inf, torch.nan).amin(0)
