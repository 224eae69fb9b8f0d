"""How single rows are grouped to be pulled: the rows of one sample read its relaxations together, rather than copies.

All groups of a pack have equally many rows: samples with fewer get padding, which is pulled for nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Pack:
    """Some rows in groups that each belong to one sample; all tensors are on the CPU.

    rows: which of all rows they are, `[R]`, or a slice of them. owner: the sample of each group, `[G]`. count: rows a
    group. cells: where each row is among the G · count, if some of these are padding.
    """

    rows: Tensor | slice
    owner: Tensor
    count: int
    cells: Tensor | None = None


def packs(owner: Tensor, limit: int, padding: float) -> Iterator[Pack]:
    """Rows grouped by sample, about `limit` at a time. Samples with similarly many rows come together.

    A single pack has all rows in their order.

    owner: the sample of each row, `[R]` long on the CPU, in increasing order. padding: how many rows may be added to a
        pack, rather than to pull them in two.
    """
    samples, each = owner.unique_consecutive(return_counts=True)
    first, counts = each.cumsum(0) - each, each
    if samples.shape[0] > 1 and not bool((each == each[0]).all()):
        counts, order = each.sort(descending=True, stable=True)
        samples, first = samples[order], first[order]
    start = 0
    while start < samples.shape[0]:
        count = int(counts[start])
        some = slice(start, start + max(1, limit // count))
        padded = torch.arange(1, counts[some].shape[0] + 1) * count - counts[some].cumsum(0)
        some = slice(start, start + int((padded <= padding).sum()))
        if count > limit:
            yield from _split(samples[some], int(first[start]), count, limit)
        else:
            in_order = samples[some].argsort() + start
            yield _together(samples[in_order], first[in_order], counts[in_order], count)
        start = some.stop


def _split(sample: Tensor, first: int, count: int, limit: int) -> Iterator[Pack]:
    """More rows of one sample than fit into one pack."""
    for start in range(first, first + count, limit):
        size = min(limit, first + count - start)
        yield Pack(slice(start, start + size), sample, size)


def _together(samples: Tensor, first: Tensor, counts: Tensor, count: int) -> Pack:
    """All rows of some samples, each of which has at most `count` of them."""
    groups, total = samples.shape[0], int(counts.sum())
    if groups == 1:
        return Pack(slice(int(first[0]), int(first[0]) + count), samples, count)
    before = (counts.cumsum(0) - counts).repeat_interleave(counts)
    rank = torch.arange(total) - before
    rows = first.repeat_interleave(counts) + rank
    if total == groups * count:
        return Pack(rows, samples, count)
    return Pack(rows, samples, count, torch.arange(groups).repeat_interleave(counts) * count + rank)
