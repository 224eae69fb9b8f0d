"""Matrix products of two branches by planes that each row chooses for itself."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from autodual.dual.layer import Contribution, DualLayer
from autodual.dual.product_planes import lowest_tilt
from autodual.dual.rows import Rows
from autodual.interval import Interval
from autodual.tensors import flat


class RowPlanesLayer(DualLayer):
    """⟨ν, XY⟩ = Σ x_ij·c_ij with C = νYᵀ: a row needs one plane for each x_ij and not one for each product of scalars.

    weights: whether the rows of X are known to sum to one. Then products with c_ij - m, for any m of a row of X, say
    the same; planes are chosen for the m that is their mean at the centre.
    """

    per_sample = True
    linear = False

    def __init__(self, first: Interval, second: Interval, *, weights: bool = False):
        self.first, self.second, self.weights = first, second, weights
        self._last: tuple[Rows, Tensor, Tensor, Tensor] | None = None

    def _planes(self, rows: Rows) -> tuple[Tensor, Tensor, Tensor]:
        """Centre and radius of C, and τ, `[G, K, …, n, k]`; those of the last rows are kept."""
        if self._last is None or self._last[0] is not rows:
            right, reach = rows.features(self.second.centre), rows.features(self.second.radius)
            centre = rows.values @ right.transpose(-1, -2)
            radius = rows.values.abs() @ reach.transpose(-1, -2)
            x, r = rows.features(self.first.centre), rows.features(self.first.radius)
            level = self._level(x, centre) if self.weights else 0.0
            self._last = rows, centre, radius, lowest_tilt(x, r, centre - level, radius)
        return self._last[1:]

    def _level(self, x: Tensor, centre: Tensor) -> Tensor:
        """The weighted mean of C at the centre, for each row of X."""
        total = x.sum(-1, keepdim=True)
        return (x * centre).sum(-1, keepdim=True) / torch.where(total > 0, total, 1.0)

    def pull(self, rows: Rows) -> tuple[Rows, ...]:
        centre, radius, tilt = self._planes(rows)
        x = rows.features(self.first.centre) + tilt * rows.features(self.first.radius)
        return (
            rows.with_values(centre + tilt * radius, shape=tuple(self.first.shape[1:])),
            rows.with_values(x.transpose(-1, -2) @ rows.values, shape=tuple(self.second.shape[1:])),
        )

    def objective(self, rows: Rows) -> Contribution:
        centre, radius, tilt = self._planes(rows)
        x, r = rows.features(self.first.centre), rows.features(self.first.radius)
        paid = x * centre + r * radius + tilt * (x * radius + r * centre)
        return Contribution(centre=-flat(paid, 2).sum(2))

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        # Of any planes that rows may choose.
        x, r, y, s = self.first.centre, self.first.radius, self.second.centre, self.second.radius
        reach = r @ s + (x.abs() + r) @ s + r @ (y.abs() + s)
        return Interval.around(x @ y, reach)

    def magnitude(self, sizes: Sequence[Tensor]) -> Tensor:
        first, second = self.first.magnitude, self.second.magnitude
        return 2 * (first @ second + first @ sizes[1] + sizes[0] @ second)

    @property
    def terms(self) -> int:
        first, second = self.first.lower[0], self.second.lower[0]
        return 4 * max(first.numel(), second.numel(), first.numel() // max(first.shape[-1], 1) * second.shape[-1])

    @property
    def multiplications(self) -> int:
        return 3 * self.first.lower[0].numel() * self.second.shape[-1]
