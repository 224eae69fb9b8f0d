"""Polytopes placed around samples."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from autodual.interval import Interval
from autodual.perturbations.box import BoxRegion
from autodual.perturbations.perturbation import changed
from autodual.perturbations.polytopes.multipliers import CutBoxes
from autodual.perturbations.polytopes.nearest_point import anchors, nearest
from autodual.perturbations.polytopes.sides import Sides
from autodual.perturbations.regions.region import Region
from autodual.perturbations.regions.view import View
from autodual.tensors import flat


@dataclass(frozen=True, eq=False)
class PolytopeRegion(Region):
    """box ∩ {z : ⟨matrix_j, z⟩ ≤ bound_j}, `[N, J, D]` and `[N, J]`, up to slack `[N, J]` (see `Sides`).

    `box` is clipped already. Projections are near the nearest points, and may miss a set that is hardly more than a
    point where half-spaces meet. Steepest points are near the steepest.
    """

    windowed: ClassVar[bool] = False
    superadditive: ClassVar[bool] = False  # of several half-spaces, multipliers need not be the best ones

    box: BoxRegion
    matrix: Tensor
    bound: Tensor
    slack: Tensor

    @cached_property
    def sides(self) -> Sides:
        """The half-spaces."""
        return Sides(self.matrix, self.bound, self.slack)

    @cached_property
    def _anchor(self) -> Tensor:
        """A point `[N, D]` of each set."""
        return anchors(flat(self.box.lower), flat(self.box.upper), self.sides)

    def select(self, index: Tensor | slice) -> PolytopeRegion:
        part = super().select(index)
        source = changed(part.source, matrix=self.source.matrix[index], bound=self.source.bound[index])  # type: ignore[attr-defined]
        object.__setattr__(part, "source", source)
        return part

    # --- bounds ------------------------------------------------------------------------------------------------------

    def enclosure(self) -> Interval:
        return self.box.enclosure()

    def extremes(self, nu: Tensor, view: View) -> tuple[Tensor, Tensor]:
        least, greatest = self.box.extremes(nu, view)
        rows = flat(nu, 2)
        lower, negated = self._cut(view).least(torch.cat([rows, -rows], 1)).chunk(2, 1)
        return torch.maximum(least, lower), torch.minimum(greatest, -negated)

    def least(self, nu: Tensor, view: View) -> Tensor:
        return torch.maximum(self.box.least(nu, view), self._cut(view).least(flat(nu, 2)))

    def extremes_within(self, nu: Tensor, view: View, part: Interval) -> tuple[Tensor, Tensor]:
        rows, box = flat(nu, 2), part.map(lambda end: flat(end.squeeze(1)))
        cut = CutBoxes(box.centre, box.radius, *self._sides_of(view))
        lower, negated = cut.least(torch.cat([rows, -rows], 1)).chunk(2, 1)
        return lower, -negated

    def rounding(self) -> Tensor:
        return self.box.rounding()

    def working_scalars(self, entries: int) -> int:
        return 8 * entries

    def _cut(self, view: View) -> CutBoxes:
        reach = self.box.half_width + self.box.rounding()
        middle, half = (flat(view.features(part).squeeze(1)) for part in (self.box.middle, reach))
        return CutBoxes(middle, half, *self._sides_of(view))

    def _sides_of(self, view: View) -> tuple[Tensor, Tensor]:
        """The half-spaces of each group."""
        return view.samples(self.matrix).squeeze(1), view.samples(self.sides.outer).squeeze(1)

    # --- attacks -----------------------------------------------------------------------------------------------------

    def contains(self, points: Tensor, tolerance: float = 0.0) -> Tensor:
        return self.box.contains(points, tolerance) & self.sides.contain(self._flat(points), tolerance)

    def project(self, points: Tensor) -> Tensor:
        found = nearest(self._flat(points), flat(self.box.lower), flat(self.box.upper), self.sides, self._anchor)
        return found.reshape(points.shape)

    def steepest(self, gradient: Tensor) -> Tensor:
        rows = self._flat(gradient)
        cut = CutBoxes(flat(self.box.middle), flat(self.box.half_width), self.matrix, self.bound)
        each = rows.reshape(-1, *rows.shape[-2:]).transpose(0, 1)
        downhill = -each + cut.multipliers(-each) @ self.matrix
        corner = self.box.steepest(-downhill.transpose(0, 1).reshape(gradient.shape))
        return self.project(corner)

    def direction(self, gradient: Tensor) -> Tensor:
        return self.box.direction(gradient)

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        return self.project(self.box.sample(count, generator))

    def corners(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        return self.project(self.box.corners(count, generator))

    def _flat(self, points: Tensor) -> Tensor:
        """Points `[*, N, *shape]` as `[*, N, D]`."""
        return flat(points, points.dim() - len(self.shape))
