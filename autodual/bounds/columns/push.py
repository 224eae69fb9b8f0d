"""Forward mode (Algorithm 2, corrected): columns are pushed from inputs and relaxed units to a bound site.

A parallel relaxation says z' = slope·z + middle + spread·ξ with |ξ| ≤ 1, so the network's value at any node is an
affine function of the inputs and of one ξ for each undecided unit so far. Its columns are what Algorithm 2 calls ν and
γ. The bound of a unit is then its constant, plus the inputs' support function of its input columns, plus the absolute
sum of the others: the numbers that pulling one row for the unit would give.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from autodual.bounds.state.bound_state import BoundState
from autodual.bounds.state.kept_bytes import KEPT_BY_COLUMNS
from autodual.dual.layer import DualLayer
from autodual.interval import Interval
from autodual.ir.graph import Node
from autodual.perturbations.regions.view import WholeView
from autodual.tensors import flat


@dataclass(frozen=True, eq=False)
class Columns:
    """A node as an affine function of the sources before it.

    inputs: by input name `[d, N or 1, *shape]`, one column for each of its d scalars. noise: by relaxed node `[R,
    *shape]`, one column for each undecided unit of any sample. constant `[N or 1, *shape]`.
    """

    inputs: Mapping[str, Tensor]
    noise: Mapping[str, Tensor]
    constant: Tensor

    @property
    def scalars(self) -> int:
        return sum(columns.numel() for group in (self.inputs, self.noise) for columns in group.values())


class PushedColumns:
    """Forward mode's memory.

    of: columns by node. owner: by relaxed node, the sample `[R]` of each of its columns. count: how many these are.
    """

    lasting: ClassVar[bool] = False

    def __init__(self) -> None:
        self.of: dict[str, Columns] = {}
        self.owner: dict[str, Tensor] = {}
        self.count: dict[str, int] = {}


def push_columns(state: BoundState, name: str) -> Columns:
    """The columns of a node, from those of its operands; computed once a call, in topological order."""
    pushed = state.memories.of(PushedColumns)
    for node in state.graph.nodes[: state.graph.positions[name] + 1]:
        if node.name in state.graph.ancestors[name] and node.name not in pushed.of:
            pushed.of[node.name] = _columns(state, pushed, node)
            state.ledger.keep(KEPT_BY_COLUMNS * pushed.of[node.name].scalars * state.itemsize)
    return pushed.of[name]


def push_bounds(state: BoundState, name: str) -> Interval:
    """Dual bounds of every unit of a node, `[N, *shape]`."""
    columns, shape, samples = push_columns(state, name), state.graph[name].shape, state.samples
    owner = state.memories.of(PushedColumns).owner
    lower = upper = flat(columns.constant)
    for source, moved in columns.inputs.items():
        region = state.regions[source]
        nu = flat(moved, 2).permute(1, 2, 0)
        least, greatest = region.extremes(nu.reshape(*nu.shape[:2], *region.shape), WholeView())
        state.ledger.keep(least.numel() * region.working_scalars(region.shape.numel()) * state.itemsize)
        lower, upper = lower + least, upper + greatest
    width = lower.new_zeros(samples, lower.shape[1])
    for source, moved in columns.noise.items():
        width = width.index_add(0, owner[source], flat(moved).abs())
    return Interval((lower - width).reshape(-1, *shape), (upper + width).reshape(-1, *shape))


def _columns(state: BoundState, pushed: PushedColumns, node: Node) -> Columns:
    dtype, device = state.environment.dtype, state.environment.device
    if node.name in state.regions:
        identity = torch.eye(node.size, dtype=dtype, device=device).reshape(node.size, 1, *node.shape)
        return Columns({node.name: identity}, {}, torch.zeros(1, *node.shape, dtype=dtype, device=device))
    layer = state.layers[node.name]
    operands = [pushed.of[name] for name in node.inputs]
    inputs = {
        source: push_through(layer, [operand.inputs.get(source) for operand in operands])
        for source in dict.fromkeys(key for operand in operands for key in operand.inputs)
    }
    noise = {
        source: layer.for_owners(pushed.owner[source]).push([operand.noise.get(source) for operand in operands])
        for source in dict.fromkeys(key for operand in operands for key in operand.noise)
    }
    fresh = _fresh_noise(pushed, node, layer)
    if fresh is not None:
        noise[node.name] = fresh
    return Columns(inputs, noise, layer.constant([operand.constant for operand in operands]))


def push_through(layer: DualLayer, columns: list[Tensor | None]) -> Tensor:
    """`[d, N or 1, *shape]` through a layer; one that differs between samples broadcasts over the d columns."""
    if layer.per_sample:
        return layer.push(columns)
    batch = max(column.shape[1] for column in columns if column is not None)
    flat = [None if column is None else column.expand(-1, batch, *column.shape[2:]).flatten(0, 1) for column in columns]
    moved = layer.push(flat)
    return moved.reshape(-1, batch, *moved.shape[1:])


def _fresh_noise(pushed: PushedColumns, node: Node, layer: DualLayer) -> Tensor | None:
    """One column for each undecided unit: half the height of its relaxation, at that unit."""
    spread = layer.spread()
    if spread is None:
        return None
    widths = flat(spread)
    owner, unit = (widths != 0).nonzero().unbind(1)
    if owner.shape[0] == 0:
        return None
    pushed.owner[node.name] = owner
    column = torch.zeros(owner.shape[0], widths.shape[1], dtype=widths.dtype, device=widths.device)
    return column.scatter(1, unit.unsqueeze(1), widths[owner, unit].unsqueeze(1)).reshape(-1, *node.shape)
