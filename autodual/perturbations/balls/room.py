"""How far each feature may move from a ball's centre inside a box that the ball is cut to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


def working(values: Tensor) -> Tensor:
    """Values in the dtype that reaches are computed in: sums of squares need more than half precision."""
    return values.float() if values.dtype.itemsize < 4 else values


@dataclass(frozen=True, eq=False)
class Room:
    """Offsets from the centre lie in [low, high], features flattened, `[N, n]`; `gap` is the least |offset|.

    The gap is 0 unless the centre itself lies outside the box.
    """

    low: Tensor
    high: Tensor
    gap: Tensor

    @classmethod
    def between(cls, low: Tensor, high: Tensor) -> Room:
        """The room of offsets between two ends, `[N, n]` each."""
        low, high = working(low), working(high)
        return cls(low, high, low.relu() + (-high).relu())

    @classmethod
    def unbounded(cls, like: Tensor) -> Room:
        """No ends at all, in the dtype and on the device of `like`."""
        infinite = working(like.new_full((1,), torch.inf))
        return cls(-infinite, infinite, torch.zeros_like(infinite))

    @cached_property
    def around(self) -> bool:
        """Whether the box holds the centres of all samples, so that every gap is 0."""
        return not bool(self.gap.any())

    @torch.no_grad()
    def most(self, offset: Tensor) -> Tensor:
        """The largest |offset| in the directions of offsets `[*, N, n]`; the gap where they lead away from the box."""
        side = torch.ones((), dtype=offset.dtype, device=offset.device).copysign(offset)
        found = side * self.low
        torch.maximum(found, side.mul_(self.high), out=found)
        return torch.maximum(found, self.gap, out=found)
