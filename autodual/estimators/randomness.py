"""Random columns that can be drawn again: numbers are a function of a key, whoever asks for which part of them.

So a bound does not depend on how memory made it cut the work, gradients can recompute what they need, and processes
that share a seed share their numbers.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

#: Columns are drawn in blocks of so many, each from a generator of its own.
BLOCK = 8


@dataclass(frozen=True)
class Stream:
    """A source of random numbers; `key` tells it apart from all others."""

    key: tuple[int | str, ...]

    @classmethod
    def next_of_torch(cls) -> Stream:
        """One that torch's global generator chooses, as it does for dropout: `torch.manual_seed` repeats it."""
        return cls(("torch", int(torch.randint(2**62, ()))))

    def branch(self, *names: int | str) -> Stream:
        """An independent stream."""
        return Stream((*self.key, *names))

    def generator(self, device: torch.device) -> torch.Generator:
        """A generator at the start of the stream."""
        digest = hashlib.sha256(repr(self.key).encode()).digest()
        return torch.Generator(device).manual_seed(int.from_bytes(digest[:8], "big") >> 1)

    def normal(self, shape: Sequence[int], rows: int, first: int, count: int, like: Tensor) -> Tensor:
        """Columns first to first + count of `rows` `[count, *shape]`: independent standard normal numbers."""
        return self._columns(_normal, shape, rows, first, count, like)

    def cauchy(self, shape: Sequence[int], rows: int, first: int, count: int, like: Tensor) -> Tensor:
        """Columns first to first + count of `rows` `[count, *shape]`: independent standard Cauchy numbers."""
        return self._columns(_cauchy, shape, rows, first, count, like)

    def _columns(self, fill, shape: Sequence[int], rows: int, first: int, count: int, like: Tensor) -> Tensor:
        parts = []
        for block in range(first // BLOCK, -(-(first + count) // BLOCK)):
            start = block * BLOCK
            columns = torch.empty(min(BLOCK, rows - start), *shape, dtype=like.dtype, device=like.device)
            fill(columns, self.branch(block).generator(like.device))
            parts.append(columns[max(0, first - start) : first + count - start])
        return parts[0] if len(parts) == 1 else torch.cat(parts)


def _normal(columns: Tensor, generator: torch.Generator) -> None:
    columns.normal_(generator=generator)


def _cauchy(columns: Tensor, generator: torch.Generator) -> None:
    """tan(π(U - ½)): three times as fast as `Tensor.cauchy_`, and as exact as the uniform numbers are fine."""
    columns.uniform_(generator=generator).sub_(0.5).mul_(math.pi).tan_()
