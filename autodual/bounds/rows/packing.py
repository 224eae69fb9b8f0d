"""How single rows are grouped to be pulled: rows of one home, which is a sample or a window of it, read its relaxations
together rather than a copy each.

All groups of a pack have equally many rows: homes with fewer get padding, which is pulled for nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Pack:
    """Some rows in groups that each belong to one home; all tensors are on the CPU.

    rows: which of all rows they are, `[R]`, or a slice of them. home: the home of each group, `[G]`. count: rows a
    group. cells: where each row is among the G · count, if some of these are padding.
    """

    rows: Tensor | slice
    home: Tensor
    count: int
    cells: Tensor | None = None


def packs(home: Tensor, limit: int, padding: float) -> Iterator[Pack]:
    """Rows grouped by home, about `limit` at a time. Homes with similarly many rows come together.

    A single pack has all rows in their order.

    home: the home of each row, `[R]` long on the CPU, in increasing order. padding: how many rows may be added to a
        pack, rather than to pull them in two.
    """
    if int(home[0]) == int(home[-1]):
        yield from _split(home[:1], 0, home.shape[0], limit)
        return
    homes, each = home.unique_consecutive(return_counts=True)
    first, counts = each.cumsum(0) - each, each
    if int(each.min()) < int(each.max()):
        counts, order = each.sort(descending=True, stable=True)
        homes, first = homes[order], first[order]
    start = 0
    while start < homes.shape[0]:
        count = int(counts[start])
        some = slice(start, start + max(1, limit // count))
        padded = torch.arange(1, counts[some].shape[0] + 1) * count - counts[some].cumsum(0)
        some = slice(start, start + int((padded <= padding).sum()))
        if count > limit:
            yield from _split(homes[some], int(first[start]), count, limit)
        else:
            in_order = homes[some].argsort() + start
            yield _together(homes[in_order], first[in_order], counts[in_order], count)
        start = some.stop


def _split(home: Tensor, first: int, count: int, limit: int) -> Iterator[Pack]:
    """The rows of one home, `limit` at a time."""
    for start in range(first, first + count, limit):
        size = min(limit, first + count - start)
        yield Pack(slice(start, start + size), home, size)


def _together(homes: Tensor, first: Tensor, counts: Tensor, count: int) -> Pack:
    """All rows of some homes, each of which has at most `count` of them."""
    groups, total = homes.shape[0], int(counts.sum())
    if groups == 1:
        return Pack(slice(int(first[0]), int(first[0]) + count), homes, count)
    before = (counts.cumsum(0) - counts).repeat_interleave(counts)
    rank = torch.arange(total) - before
    rows = first.repeat_interleave(counts) + rank
    if total == groups * count:
        return Pack(rows, homes, count)
    return Pack(rows, homes, count, torch.arange(groups).repeat_interleave(counts) * count + rank)
