"""Rows of single units that all samples share: pulled once, as far as nothing differs between samples."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from autodual.bounds.rows.pull import Progress, advance
from autodual.bounds.state.bound_state import BoundState
from autodual.dual.row_windows import Window
from autodual.dual.rows import Rows


@dataclass(frozen=True, eq=False)
class SharedRows:
    """How rows of a node's units start.

    windowed: whether as windows, of all positions at once. barrier: the position of a node before which constraints
    are to join, so that rows stop there; -1: none.
    """

    state: BoundState
    name: str
    windowed: bool
    barrier: int = -1

    def of(self, units: Tensor, *, mirrored: bool) -> Progress:
        """Identity rows of units (channels, if windowed), followed by their negatives if `mirrored`."""
        progress = advance(self.state, Progress.start_shared(self.name, self._identity(units)), stop=self._differs)
        return progress.mirrored() if mirrored else progress

    def _identity(self, units: Tensor) -> Rows:
        shape, dtype = self.state.graph[self.name].shape, self.state.environment.dtype
        if not self.windowed:
            return Rows.of_units(units, shape, dtype)
        spatial = shape[1:]
        window = Window(None, (1,) * len(spatial), (0,) * len(spatial), spatial)
        rows = Rows.of_units(units, (shape[0], *(1,) * len(spatial)), dtype)
        return rows.changed(shape=shape, window=window, units=None)

    def _differs(self, name: str, progress: Progress) -> bool:
        """Whether rows can no longer be shared: samples part at this layer, constraints are to join before it, or it
        must be known where windows lie.
        """
        if self.barrier >= self.state.graph.positions[name]:
            return True
        layer, rows = self.state.layers[name], progress.pending[name]
        if rows.window is None:
            return layer.per_sample
        meets = any(parent in progress.pending for parent in self.state.graph[name].inputs)
        placeless = layer.windowed and layer.uniform and rows.cropped and not rows.outgrown
        return layer.per_sample or meets or not placeless
