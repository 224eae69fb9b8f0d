"""Least values of linear functions over boxes cut by half-spaces, from multipliers of the half-spaces.

For β ≥ 0, ⟨ν, z⟩ ≥ ⟨ν + Σ_j β_j a_j, z⟩ - Σ_j β_j b_j wherever ⟨a_j, z⟩ ≤ b_j, and the right side has a known minimum
over a box. As a function of one β_j that is concave, with a kink where a coefficient changes its sign, so that its
maximum is found by sorting. With one half-space the bound is the exact minimum; with several, each β_j in turn is the
best beside the others, which may stop short of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from autodual.interval import Interval
from autodual.perturbations.polytopes.sides import Sides

_SWEEPS = 3
_ROUNDS = 32
# Multipliers of half-spaces that leave nothing, in units of the last at which the bound has a kink.
_FAR = 2.0**10


@dataclass(frozen=True, eq=False)
class CutBoxes:
    """Boxes middle ± half `[G, D]` cut by ⟨matrix_j, z⟩ ≤ bound_j, `[G, J, D]` and `[G, J]`; G may be 1."""

    middle: Tensor
    half: Tensor
    matrix: Tensor
    bound: Tensor

    @classmethod
    def around(cls, box: Interval, sides: Sides) -> CutBoxes:
        """A box `[N, D]` cut by sides, with all that rounding allows."""
        return cls(box.centre, box.radius * (1 + 4 * torch.finfo(box.lower.dtype).eps), sides.matrix, sides.outer)

    def multipliers(self, rows: Tensor) -> Tensor:
        """Multipliers `[G, R, J]` for the least values of rows `[G or 1, R, D]`."""
        count, groups = self.bound.shape[1], max(part.shape[0] for part in (rows, self.bound, self.middle))
        chosen = rows.new_zeros(groups, rows.shape[1], count)
        for _ in range(_SWEEPS if count > 1 else 1):
            for place in range(count):
                others = chosen.index_fill(2, chosen.new_tensor([place], dtype=torch.long), 0.0)
                chosen[:, :, place] = self._best(rows + others @ self.matrix, place)
        return chosen

    def least(self, rows: Tensor) -> Tensor:
        """Lower bounds `[G, R]` of rows `[G or 1, R, D]`, which allow for their rounding."""
        chosen = self.multipliers(rows.detach())
        return torch.maximum(self._proved(rows, chosen), self._proved(rows, torch.zeros_like(chosen)))

    def empty(self) -> Tensor:
        """Where no point can be on the right side of all half-spaces, bool `[G]`.

        A combination of ⟨a_j, z⟩ - b_j with weights β is positive on the whole box there. The weights are a game's
        strategy, found by multiplicative weights; any weights are sound.
        """
        scale = self.matrix.abs() @ self.half.unsqueeze(2) + (self.matrix @ self.middle.unsqueeze(2)).abs()
        scale = (scale.squeeze(2) + self.bound.abs()).clamp(min=torch.finfo(self.bound.dtype).tiny)
        weight = (1 / scale).unsqueeze(1)
        found = torch.zeros(self.bound.shape[0], dtype=torch.bool, device=self.bound.device)
        for _ in range(_ROUNDS):
            mixed = weight @ self.matrix
            value = mixed @ self.middle.unsqueeze(2) - mixed.abs() @ self.half.unsqueeze(2)
            value = value - weight @ self.bound.unsqueeze(2) - self._error(torch.zeros_like(mixed), weight)
            found = found | (value > 0).reshape(-1)
            reply = (self.matrix @ (self.middle.unsqueeze(1) - self.half.unsqueeze(1) * mixed.sign()).mT).mT
            gain = (reply - self.bound.unsqueeze(1)) / scale.unsqueeze(1)
            weight = weight * gain.clamp(-1, 1).exp()
            weight = weight / (weight * scale.unsqueeze(1)).sum(2, keepdim=True)
        return found

    def _proved(self, rows: Tensor, chosen: Tensor) -> Tensor:
        """The bounds `[G, R]` that multipliers `[G, R, J]` prove."""
        moved = rows + chosen @ self.matrix
        value = moved @ self.middle.unsqueeze(2) - moved.abs() @ self.half.unsqueeze(2)
        return (value - chosen @ self.bound.unsqueeze(2) - self._error(rows, chosen)).squeeze(2)

    def _best(self, rows: Tensor, place: int) -> Tensor:
        """The best multiplier `[G, R]` of one half-space for rows that have those of the others, `[G, R, D]`."""
        side, bound = self.matrix[:, place].unsqueeze(1), self.bound[:, place].unsqueeze(1)
        weight = self.half.unsqueeze(1) * side.abs()
        towards = rows * side < 0
        kink = torch.where(towards, -rows / torch.where(side == 0, 1, side), torch.inf)
        rise = (side * self.middle.unsqueeze(1)).sum(2) - bound + torch.where(towards, weight, -weight).sum(2)
        kinks, order = kink.sort(2)
        falls = torch.where(towards, 2 * weight, 0.0).gather(2, order).cumsum(2)
        last = (kinks < torch.inf).sum(2, keepdim=True) - 1
        rising = (rise.unsqueeze(2) - falls > 0).sum(2, keepdim=True)
        found = kinks.gather(2, rising.minimum(last).clamp(min=0)).squeeze(2)
        found = torch.where((rise > 0) & (last.squeeze(2) >= 0) & found.isfinite(), found, 0.0)
        # What still rises beyond the last kink rises for ever: the half-space leaves nothing of the box.
        steep = rows.abs().amax(2) / side.abs().amax(2).clamp(min=torch.finfo(rows.dtype).tiny)
        empty = (rise - falls[..., -1] > 0) & steep.isfinite()
        return torch.where(empty, _FAR * (found + steep), found)

    def _error(self, rows: Tensor, chosen: Tensor) -> Tensor:
        """What rounding may cost the value of rows with these multipliers, `[G, R, 1]`."""
        reach = (self.middle.abs() + self.half).unsqueeze(2)
        size = (rows.abs() + chosen @ self.matrix.abs()) @ reach + chosen @ self.bound.abs().unsqueeze(2)
        terms, limits = 2 * sum(self.matrix.shape[1:]) + 8, torch.finfo(rows.dtype)
        return terms * (limits.eps * size + limits.tiny)
