"""Random columns that can be drawn again: each number is a function of a key and its place alone.

So a bound does not depend on how the work is cut to fit memory, gradients can recompute what they need, and processes
with the same seed have the same numbers.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy
import torch
from torch import Tensor

#: Columns per block; each block is drawn from a generator of its own.
BLOCK = 8


@dataclass(frozen=True)
class Stream:
    """A source of random numbers; streams with different keys are independent.

    Args:
        key: numbers and names that tell the stream apart from others.

    Example:
        >>> import torch
        >>> from autodual.estimators import Stream
        >>> stream = Stream(("example", 7))
        >>> whole = stream.normal((3,), 20, first=0, count=20, like=torch.empty(0))
        >>> torch.equal(stream.normal((3,), 20, first=5, count=2, like=torch.empty(0)), whole[5:7])
        True
    """

    key: tuple[int | str, ...]

    @classmethod
    def next_of_torch(cls) -> Stream:
        """A stream whose key torch's global generator draws, as for dropout: `torch.manual_seed` repeats it."""
        return cls(("torch", int(torch.randint(2**62, ()))))

    def branch(self, *names: int | str) -> Stream:
        """An independent stream, whose key goes on with `names`."""
        return Stream((*self.key, *names))

    def normal_block(self, shape: Sequence[int], like: Tensor) -> Tensor:
        """Independent standard normal numbers of this `shape`, in the dtype and on the device of `like`."""
        if like.device.type == "cpu":
            return torch.from_numpy(self._numpy().standard_normal(tuple(shape), dtype=_numpy_dtype(like)))
        return torch.empty(*shape, dtype=like.dtype, device=like.device).normal_(generator=self._torch(like.device))

    def uniform_block(self, shape: Sequence[int], like: Tensor) -> Tensor:
        """Independent numbers of this `shape`, uniform in [0, 1), in the dtype and on the device of `like`."""
        if like.device.type == "cpu":
            return torch.from_numpy(self._numpy().random(tuple(shape), dtype=_numpy_dtype(like)))
        return torch.empty(*shape, dtype=like.dtype, device=like.device).uniform_(generator=self._torch(like.device))

    def _numpy(self) -> numpy.random.Generator:
        """Philox with a key of 128 bits: torch's CPU generator takes 32, so that streams would soon coincide."""
        return numpy.random.Generator(numpy.random.Philox(key=int.from_bytes(self._digest()[:16], "big")))

    def _torch(self, device: torch.device) -> torch.Generator:
        return torch.Generator(device).manual_seed(int.from_bytes(self._digest()[:8], "big") >> 1)

    def _digest(self) -> bytes:
        return hashlib.sha256(repr(self.key).encode()).digest()

    def normal(self, shape: Sequence[int], rows: int, first: int, count: int, like: Tensor) -> Tensor:
        """Columns of independent standard normal numbers, `[count, *shape]`.

        Args:
            shape: the shape of a column.
            rows: how many columns there are in all.
            first: the first column.
            count: the number of columns.
            like: a tensor of their dtype on their device.
        """
        return self._columns(_normal, shape, rows, first, count, like)

    def cauchy(self, shape: Sequence[int], rows: int, first: int, count: int, like: Tensor) -> Tensor:
        """Columns of independent standard Cauchy numbers, `[count, *shape]`.

        Args:
            shape: the shape of a column.
            rows: how many columns there are in all.
            first: the first column.
            count: the number of columns.
            like: a tensor of their dtype on their device.
        """
        return self._columns(_cauchy, shape, rows, first, count, like)

    def _columns(self, fill, shape: Sequence[int], rows: int, first: int, count: int, like: Tensor) -> Tensor:
        parts = []
        for block in range(first // BLOCK, -(-(first + count) // BLOCK)):
            start = block * BLOCK
            columns = fill(self.branch(block), (min(BLOCK, rows - start), *shape), like)
            parts.append(columns[max(0, first - start) : first + count - start])
        return parts[0] if len(parts) == 1 else torch.cat(parts)


def _normal(stream: Stream, shape: Sequence[int], like: Tensor) -> Tensor:
    return stream.normal_block(shape, like)


def _cauchy(stream: Stream, shape: Sequence[int], like: Tensor) -> Tensor:
    """tan(π(U - ½)): three times as fast as `Tensor.cauchy_`, and as fine as the uniform numbers U."""
    return stream.uniform_block(shape, like).sub_(0.5).mul_(math.pi).tan_()


def _numpy_dtype(like: Tensor) -> Any:
    return numpy.float32 if like.dtype == torch.float32 else numpy.float64
