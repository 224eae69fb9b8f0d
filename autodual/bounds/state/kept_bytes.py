"""How much memory the gradients of one bound computation keep, reckoned from the shapes of what is computed."""

from __future__ import annotations

from autodual.dual.layer import DualLayer

# Part of the budget that may be kept until the backward pass; the rest is for what is computed there.
_KEPT_SHARE = 0.75


class Ledger:
    """Bytes that gradients keep so far. Without a budget everything fits and nothing is counted."""

    def __init__(self, budget: int | None = None, kept: float = 0.0):
        self._room = None if budget is None else _KEPT_SHARE * budget
        self.kept = kept
        #: Bytes that are not kept, but computed again in the backward pass.
        self.spared = 0.0

    @property
    def counts(self) -> bool:
        """Whether there is a budget, so that it matters what is kept."""
        return self._room is not None

    def fits(self, size: float) -> bool:
        """Whether gradients may keep so many more bytes."""
        return self._room is None or self.kept + size <= self._room

    def keep(self, size: float) -> None:
        """Count so many more bytes as kept."""
        self.kept += size

    def spare(self, size: float) -> None:
        """Count so many more bytes as computed again rather than kept."""
        self.spared += size


def kept_by_layer(layer: DualLayer, windowed: bool) -> tuple[int, int]:
    """Tensors that autograd keeps where rows pass a layer: as large as the rows, and as their groups (measured)."""
    if layer.per_sample:
        return (2, 3) if layer.linear else (3, 4)
    # Banded patch matrices cut rows into overlapping slices.
    return (3, 0) if windowed else (1, 0)


#: The same where rows are bounded.
KEPT_BY_BOUND = (1, 2)
#: The same where columns pass a layer, each as large as the columns.
KEPT_BY_COLUMNS = 3
