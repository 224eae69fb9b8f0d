"""What an ascent remembers of each sample on its way, so that samples can be dropped as soon as they are refuted."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(eq=False)
class State:
    """Where the N samples still under attack are, and what steps and step sizes keep about them by name, `[N, …]`.

    `iteration` counts from 0 to `steps` − 1.
    """

    points: Tensor
    steps: int
    generator: torch.Generator
    iteration: int = 0
    memory: dict[str, Tensor] = field(default_factory=dict)

    def only(self, index: Tensor | None) -> State:
        """The state of some of the samples, by a LongTensor; None: itself."""
        if index is None:
            return self
        kept = {name: values[index] for name, values in self.memory.items()}
        return State(self.points[index], self.steps, self.generator, self.iteration, kept)

    def branch(self) -> State:
        """The same state, whose memory can be written without touching this one's."""
        return State(self.points, self.steps, self.generator, self.iteration, dict(self.memory))

    def each(self, values: Tensor) -> Tensor:
        """Values `[N]` as they are multiplied with points, `[N, 1, …]`."""
        return values.reshape(-1, *[1] * (self.points.dim() - 1))
