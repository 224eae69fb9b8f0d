"""The batch axis: what marks it in a traced shape, and the shape of one sample that remains without it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch


class BatchAxis:
    """Recognises the batch size among the extents that torch.export recorded.

    A dynamic batch size is a symbol, so an axis that happens to be as long as the batch is never mistaken for it. In a program
    that was exported for one batch size the extent is a plain number; there, what keeps the axes apart is that every
    lowering rule keeps axis 0 in its place.
    """

    def __init__(self, extents: Sequence[int | torch.SymInt]):
        self.size = next((extent for extent in extents if isinstance(extent, int)), None)
        self._symbols = {symbol_of(extent) for extent in extents if isinstance(extent, torch.SymInt)}

    def is_batch(self, extent: Any) -> bool:
        """Whether an extent is the batch size."""
        if isinstance(extent, torch.SymInt):
            return symbol_of(extent) in self._symbols
        return self.size is not None and extent == self.size

    def mentions(self, expression: Any) -> bool:
        """Whether a sympy expression depends on the batch size."""
        return bool(self._symbols & set(expression.free_symbols))

    def sample_shape(self, shape: Sequence[int | torch.SymInt]) -> tuple[int, ...] | None:
        """The shape of one sample, or None unless axis 0 is the batch and the other extents are independent of it."""
        if not shape or not self.is_batch(shape[0]) or not all(isinstance(extent, int) for extent in shape[1:]):
            return None
        return tuple(int(extent) for extent in shape[1:])


def symbol_of(extent: torch.SymInt) -> Any:
    """The sympy expression of a symbolic extent."""
    return extent.node.expr
