"""Whether samples of one data set are also in another, whatever files the two were read from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor

from autodual.tensors import flat

_AT_ONCE = 1_000


def shared_samples(x: Tensor, others: Sequence[Tensor]) -> int:
    """How many of the samples x `[N, *shape]` equal one of the others, `[M, *shape]` each, number by number.

    Copies that were compressed with losses, cropped or scaled are other samples.
    """
    known = {found for samples in others for found in _hashes(samples)}
    return sum(found in known for found in _hashes(x))


def _hashes(samples: Tensor) -> Iterator[int]:
    """A number for each sample, equal for equal ones."""
    for part in samples.detach().split(_AT_ONCE):
        for sample in (flat(part.float()).cpu() + 0.0).numpy():  # -0.0 becomes 0.0
            yield hash(sample.tobytes())
