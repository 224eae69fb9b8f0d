"""How much more or less each kind of action gains than its score predicts, learned while a search runs.

First-order scores of different kinds of actions are not comparable: halving an input tightens every interval, and what
that gains is of second order. No constant holds for all networks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from torch import Tensor

# Older outcomes count less by this factor for every batch; factors stay within these limits.
_MEMORY = 0.98
_LEAST, _MOST = 1 / 50, 50.0
# In every so many batches, all kinds are tried on the same parts.
_EVERY = 8


@dataclass
class Calibration:
    """By kind of action, Σ realised / Σ predicted gains."""

    realised: dict[str, float] = field(default_factory=dict)
    predicted: dict[str, float] = field(default_factory=dict)
    batches: int = 0

    def factor(self, kind: str) -> float:
        """What a score of this kind is to be multiplied by."""
        predicted, realised = self.predicted.get(kind, 0.0), self.realised.get(kind, 0.0)
        if not (predicted > 0 and math.isfinite(predicted) and math.isfinite(realised)):
            return 1.0
        return min(max(realised / predicted, _LEAST), _MOST)

    def learn(self, kind: str, predicted: Tensor, realised: Tensor) -> None:
        """Take in what parts were predicted to gain and what they gained, both `[M]`."""
        fine = predicted.isfinite() & realised.isfinite() & (predicted > 0)
        for sums, values in ((self.predicted, predicted), (self.realised, realised)):
            sums[kind] = _MEMORY * sums.get(kind, 0.0) + float(values[fine].clamp(min=0).sum())

    @property
    def knows(self) -> bool:
        """Whether anything was learned."""
        return bool(self.predicted)

    def compares(self) -> bool:
        """Whether all kinds should be tried on the next batch."""
        self.batches += 1
        return self.batches % _EVERY == 0
