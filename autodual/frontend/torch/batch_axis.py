"""Finding the batch axis in a traced shape, and the shape of one sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch


class BatchAxis:
    """Recognises the batch size among the extents that torch.export recorded.

    A dynamic batch size is a symbol, so an axis that happens to be as long as the batch is never mistaken for it. In a
    program that was exported for one batch size the extent is a plain number; there, what keeps the axes apart is that
    every lowering rule keeps axis 0 in its place.
    """

    def __init__(self, extents: Sequence[int | torch.SymInt]):
        """`extents`: the length of axis 0 of every input; either all are the same number or all are symbols."""
        known = [settled(extent) for extent in extents]
        self.size = next((extent for extent in known if isinstance(extent, int)), None)
        self._symbols = {symbol_of(extent) for extent in known if isinstance(extent, torch.SymInt)}

    def is_batch(self, extent: Any) -> bool:
        """Whether an extent is the batch size."""
        extent = settled(extent)
        if isinstance(extent, torch.SymInt):
            return symbol_of(extent) in self._symbols
        return self.size is not None and bool(extent == self.size)

    def is_symbol(self, symbol: Any) -> bool:
        """Whether a sympy symbol is the batch size."""
        return symbol in self._symbols

    def place(self, shape: Sequence[int | torch.SymInt]) -> tuple[int, int] | None:
        """The axis that runs over the batch, and how many of its entries a sample has; None unless there is just one.

        A plain number tells no axes apart, so for a fixed batch size that axis is axis 0 and one entry a sample.
        """
        if self.sample_shape(shape) is not None:
            return 0, 1
        found = [(at, extent) for at, extent in enumerate(map(settled, shape)) if not isinstance(extent, int)]
        if len(found) != 1:
            return None
        at, extent = found[0]
        ratios = (symbol_of(extent) / symbol for symbol in self._symbols)
        entries = next((int(ratio) for ratio in ratios if ratio.is_Integer), None)
        return None if entries is None else (at, entries)

    def sample_shape(self, shape: Sequence[int | torch.SymInt]) -> tuple[int, ...] | None:
        """The shape of one sample, or None unless axis 0 is the batch and the other extents are independent of it."""
        rest = [settled(extent) for extent in shape[1:]]
        if not shape or not self.is_batch(shape[0]) or not all(isinstance(extent, int) for extent in rest):
            return None
        return tuple(int(extent) for extent in rest)


def symbol_of(extent: torch.SymInt) -> Any:
    """The sympy expression of a symbolic extent."""
    return extent.node.expr


def settled(extent: int | torch.SymInt) -> int | torch.SymInt:
    """An extent as a plain number if tracing has found out which one it is."""
    if isinstance(extent, torch.SymInt) and symbol_of(extent).is_Integer:
        return int(symbol_of(extent))
    return extent
