"""The half-spaces that cut a polytope out of its box, and what rounding allows of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from autodual.tensors import flat


@dataclass(frozen=True, eq=False)
class Sides:
    """⟨matrix_j, z⟩ ≤ bound_j for N samples: `[N, J, D]` and `[N, J]`.

    slack `[N, J]`: how far rounding may move ⟨matrix_j, z⟩ - bound_j of a point of the box. A point that exceeds a
    bound by no more counts as inside.
    """

    matrix: Tensor
    bound: Tensor
    slack: Tensor

    @classmethod
    def around(cls, matrix: Tensor, bound: Tensor, magnitude: Tensor) -> Sides:
        """The sides with matrix `[N, J, *shape]` of boxes whose points are no larger than magnitude `[N, *shape]`."""
        rows, sizes = flat(matrix, 2), flat(magnitude).unsqueeze(1)
        size = (rows.abs() * sizes).sum(2) + bound.abs()
        limits = torch.finfo(bound.dtype)
        # Of a coefficient that is nearly nothing, the dtype may have kept nothing.
        lost = (limits.tiny * (1 + sizes)).sum(2)
        return cls(rows, bound, (rows.shape[2] + 4) * limits.eps * size + lost)

    @property
    def outer(self) -> Tensor:
        """Bounds `[N, J]` that every point keeps that counts as inside, in real arithmetic."""
        return self.bound + 2 * self.slack

    @property
    def count(self) -> int:
        """J."""
        return self.bound.shape[1]

    def excess(self, points: Tensor) -> Tensor:
        """⟨matrix_j, z⟩ - bound_j of points `[*, N, D]`, as `[*, N, J]`."""
        return torch.einsum("njd,...nd->...nj", self.matrix, points) - self.bound

    def contain(self, points: Tensor, tolerance: float = 0.0) -> Tensor:
        """Whether points `[*, N, D]` are on the right side of all, bool `[*, N]`; one with NaN is not.

        tolerance: by how much each coordinate may be off.
        """
        allowed = self.slack + tolerance * self.matrix.abs().sum(2)
        return (self.excess(points) <= allowed).all(-1)
