"""The claims of a dual layer about its op: linear functions of the inputs below, and above, every row's value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from autodual.dual import DualLayer, Rows
from autodual.interval import Interval
from autodual.tensors import flat
from autodual.testing.case import Case

# Number of units that get a row of their own, with either sign.
_UNITS = 6


@dataclass(frozen=True, eq=False)
class Claim:
    """For rows ν `[N or 1, K, *shape]`: ⟨ν, op(z)⟩ ≥ Σ ⟨slopes, z⟩ + lower, and ≤ … + upper if that is given.

    slopes: `[N or 1, K, *in]` per input; lower, upper: `[N or 1, K]`. All in float64.
    """

    slopes: tuple[Tensor, ...]
    lower: Tensor
    upper: Tensor | None

    @classmethod
    def of(cls, layer: DualLayer, rows: Rows) -> Claim:
        """What `layer` claims of `rows`."""
        pulled, paid = layer.pull(rows), layer.objective(rows)
        nothing = rows.values.new_zeros(1, rows.count)
        centre = nothing if paid.centre is None else paid.centre
        width = nothing if paid.width is None else paid.width
        slopes = tuple(part.values.double() for part in pulled)
        upper = (centre + width).double() if layer.linear else None
        lower, gained = centre - width, layer.gain(rows)
        # `objective` and `gain` must both be right, so the stronger claim is tested.
        return cls(slopes, (lower if gained is None else lower.maximum(gained)).double(), upper)

    def linear_part(self, points: Sequence[Tensor]) -> Tensor:
        """Σ ⟨slopes, z⟩ at `points` `[P, N, 1 or K, *in]` of each input: `[P, N, K]`."""
        parts = [(flat(slope, 2) * flat(point, 3)).sum(-1) for slope, point in zip(self.slopes, points)]
        return torch.stack(parts).sum(0)

    def least(self, bounds: Sequence[Interval]) -> Tensor:
        """The least value of the lower linear function over `bounds` of each input, `[N, K]`."""
        found = self.lower
        for slope, bound in zip(self.slopes, bounds):
            ends = [slope * end.double().unsqueeze(1) for end in (bound.lower, bound.upper)]
            found = found + flat(ends[0].minimum(ends[1]), 2).sum(2)
        return found


def tried_rows(case: Case) -> Rows:
    """Rows for `case`, shared by all samples: first single units with either sign, then random numbers."""
    size = case.node.size
    chosen = torch.eye(size, dtype=case.dtype, device=case.device)[:_UNITS]
    mixed = case.normal(3, size, place=31)
    values = torch.cat([chosen, -chosen, mixed, -mixed[:1], mixed[:1].abs()])
    return Rows(values.reshape(1, -1, *case.node.shape), case.node.shape)


def units_tried(case: Case) -> int:
    """How many of the `tried_rows` of `case` are single units; as many negated ones follow them."""
    return min(_UNITS, case.node.size)


def row_values(rows: Rows, value: Tensor) -> Tensor:
    """⟨ν, value⟩ of shared `rows` with an op's `value` `[P, N, 1 or K, *shape]`: `[P, N, K]`, in float64."""
    return (flat(rows.values.double(), 2) * flat(value.double(), 3)).sum(-1)
