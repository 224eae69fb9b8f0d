"""Rows of all units of a small site at once: nothing is gathered or put back, which would take longer than the rows."""

from __future__ import annotations

import torch
from torch import Tensor

from autodual.bounds.memory.row_chunks import Chunks
from autodual.bounds.memory.row_cost import pull_footprint, starts_windowed
from autodual.bounds.rows.constrained import unit_constraints
from autodual.bounds.rows.early_exits import exits
from autodual.bounds.rows.pull import Progress, advance, concretise
from autodual.bounds.state.bound_state import BoundState
from autodual.dual.rows import Rows
from autodual.interval import Interval
from autodual.measured import measured


def takes_every_unit(state: BoundState, name: str, wanted: Tensor, linear: bool) -> bool:
    """Whether rows of all units of all samples cost less than to choose those of the wanted ones `[N, *shape]`.

    wanted: on the CPU. linear: whether one row serves both ends of a unit.
    """
    if exits(state, name) or unit_constraints(state, name) or starts_windowed(state, name):
        return False
    chunks, size = Chunks(state, pull_footprint(state, name, windowed=False)), state.graph[name].size
    count, samples = size if linear else 2 * size, state.samples
    if samples * count > chunks.rows or not chunks.fits(samples * count, samples):
        return False
    spared = samples * count - int(wanted.sum())  # one side of a unit is often enough
    return spared * chunks.footprint.multiplications <= measured.another_pull_work


def every_unit(state: BoundState, name: str, linear: bool) -> Interval:
    """Both bounds `[N or 1, *shape]` of every unit of a node."""
    node, environment = state.graph[name], state.environment
    units = torch.arange(node.size, device=environment.device)
    start = Progress.start(name, Rows.of_units(units, node.shape, environment.dtype))
    progress = advance(state, start, stop=lambda other, _: state.layers[other].per_sample)
    found = concretise(state, advance(state, progress if linear else progress.mirrored()))
    lower, upper = (found.lower, found.upper) if linear else found.lower.chunk(2, 1)
    return Interval(lower, upper if linear else -upper).map(lambda end: end.reshape(-1, *node.shape))
