"""Rows of cotangents, and the mass that may move under them, cut into blocks that fit the processor's caches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from autodual.measured import measured
from autodual.perturbations.wasserstein.canvas import Canvas
from autodual.perturbations.wasserstein.mass_sources import Sources

# The canvas and the gains of a block each take this part of a cache. Other devices take larger blocks.
_CACHE_PART, _DEVICE_BYTES = 4, 1 << 27


@dataclass(frozen=True, eq=False)
class Question:
    """K rows of each of G groups, whose greatest gains over a Wasserstein ball are asked for.

    Args:
        rows: `[G or 1, K, channels, height, width]`.
        sources: of G groups, or of one if all share them.
        budget: `[G or 1]`.
        canvas: how rows are laid out; all that a row's mass can reach lies on it.
        penalty: `[G or 1, 1, channels, height, width]`, as `Canvas.laid_out` takes it; None if all pixels exist.
    """

    rows: Tensor
    sources: Sources
    budget: Tensor
    canvas: Canvas
    penalty: Tensor | None = None

    @property
    def groups(self) -> int:
        """G."""
        return max(self.rows.shape[0], self.sources.mass.shape[0], self.budget.shape[0])

    @property
    def count(self) -> int:
        """K."""
        return self.rows.shape[1]

    def blocks(self, ends: int) -> Iterator[tuple[slice, slice, Question]]:
        """Slices of the groups and of the rows, with the same for these alone.

        Args:
            ends: 2 if the rows' negatives are asked for as well, else 1.
        """
        scalars = max(self.canvas.size, len(self.canvas.moves.rings) * self.sources.mass.shape[1])
        row = ends * scalars * self.rows.element_size()
        room = measured.cache_bytes // _CACHE_PART if self.rows.device.type == "cpu" else _DEVICE_BYTES
        most = max(1, room // row)
        groups = max(1, most // self.count)
        for first in range(0, self.count, most):
            some = slice(first, first + most)
            for start in range(0, self.groups, groups):
                where = slice(start, start + groups)
                yield where, some, self._part(where, some)

    def _part(self, where: slice, some: slice) -> Question:
        def own(tensor: Tensor) -> Tensor:
            return tensor if tensor.shape[0] == 1 else tensor[where]

        penalty = None if self.penalty is None else own(self.penalty)
        return Question(own(self.rows)[:, some], self.sources.part(where), own(self.budget), self.canvas, penalty)


def as_images(rows: Tensor) -> Tensor:
    """Rows `[G, K, *channels, H, W]` as `[G, K, channels, H, W]`."""
    return rows.reshape(*rows.shape[:2], rows.shape[2:-2].numel(), *rows.shape[-2:])
