"""What a pull from a node will cost: how far windows grow on their way, multiplications and memory a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch

from autodual.bounds.state.bound_state import BoundState
from autodual.bounds.state.kept_bytes import KEPT_BY_BOUND, kept_by_layer
from autodual.measured import measured


@dataclass(frozen=True)
class Footprint:
    """Cost of one row: multiplications, and the largest number of scalars it has at any node.

    layers: how many layers it passes. kept, kept_by_group: scalars that gradients keep of a row, and of a group of rows
    whatever their number.
    """

    multiplications: float
    scalars: int
    layers: int = 0
    kept: int = 0
    kept_by_group: int = 0

    def bytes(self, itemsize: int) -> int:
        return self.scalars * itemsize * measured.row_tensors


def starts_windowed(state: BoundState, name: str) -> bool:
    """Whether rows from this node would travel as windows: some way back meets a local layer before a global one."""
    if not state.options.windows or len(state.graph[name].shape) < 2:
        return False
    layer = state.layers.get(name)
    if layer is None or not layer.windowed:
        return False
    return layer.local or any(starts_windowed(state, parent) for parent in state.graph[name].inputs)


class _Footprints:
    """By node and whether rows are windows, the footprints that have been asked for."""

    lasting: ClassVar[bool] = False

    def __init__(self) -> None:
        self.of: dict[tuple[str, bool], Footprint] = {}


def pull_footprint(state: BoundState, name: str, windowed: bool) -> Footprint:
    """Cost of pulling one row from a node to the inputs: of a unit's window if `windowed`, else of the whole node."""
    found = state.memories.of(_Footprints).of
    if (name, windowed) not in found:
        found[name, windowed] = _footprint(state, name, windowed)
    return found[name, windowed]


def work_of_rows(state: BoundState, target: str) -> float:
    """How many multiplications a sample takes that has a row for each unit of the bound sites and of the target.

    It depends on the network alone, not on values: about what bounds take whose intervals decide no unit.
    """
    sites = [site.name for site in state.sites if not site.exact_over(state.regions)]
    names = [name for name in sites if name in state.graph.ancestors[target]]
    rows = {name: pull_footprint(state, name, starts_windowed(state, name)) for name in (*names, target)}
    return sum(state.graph[name].size * row.multiplications for name, row in rows.items())


def _footprint(state: BoundState, name: str, windowed: bool) -> Footprint:
    graph = state.graph
    start = graph[name]
    extents: dict[str, tuple[int, ...] | None] = {name: (1,) * (len(start.shape) - 1) if windowed else None}
    multiplications, scalars, layers, kept, kept_by_group = 0.0, 1, 0, 0, 0
    for node in reversed(graph.nodes[: graph.positions[name] + 1]):
        if node.name not in extents:
            continue
        extent = extents[node.name]
        region = state.regions.get(node.name)
        if region is not None and not region.windowed:
            extent = None
        share = 1.0 if extent is None else _size(extent) / max(1, _size(node.shape[1:]))
        if share >= 1.0:
            extent, share = None, 1.0
        here = node.size if extent is None else node.shape[0] * _size(extent)
        working = 0 if region is None else region.working_scalars(here)
        scalars = max(scalars, here + working // measured.row_tensors)
        layer = state.layers.get(node.name)
        tensors = KEPT_BY_BOUND if layer is None else kept_by_layer(layer, extent is not None)
        kept, kept_by_group = kept + tensors[0] * here + working, kept_by_group + tensors[1] * here
        if layer is None:
            continue
        multiplications, layers = multiplications + share * layer.multiplications, layers + 1
        for parent in node.inputs:
            grown = layer.reach(extent) if extent is not None and layer.windowed else None
            extents[parent] = _union(extents[parent], grown) if parent in extents else grown
    return Footprint(multiplications, scalars, layers, kept, kept_by_group)


def _size(shape: Sequence[int]) -> int:
    return torch.Size(shape).numel()


def _union(first: tuple[int, ...] | None, second: tuple[int, ...] | None) -> tuple[int, ...] | None:
    if first is None or second is None or len(first) != len(second):
        return None
    return tuple(max(a, b) for a, b in zip(first, second))
