"""Rows of all units of some samples, or of all channels at some positions: no single rows are picked or put back."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from autodual.bounds.memory.recomputation import recomputed_rows
from autodual.bounds.memory.row_chunks import Chunks
from autodual.bounds.rows.pull import Enclosure, advance, concretise
from autodual.bounds.rows.row_groups import places
from autodual.bounds.rows.shared_rows import SharedRows
from autodual.bounds.state.bound_state import BoundState
from autodual.dual.row_windows import Place
from autodual.interval import Interval
from autodual.measured import measured
from autodual.tensors import flat


def whole_groups(chunks: Chunks, shared: SharedRows, groups: Tensor, limit: int) -> Interval:
    """Both bounds of all channels at the marked positions `[N, *spatial]`, or of all units of the marked samples `[N]`,
    where one pull gives both; other units keep their interval.

    groups: on the CPU. limit: the most rows of a group to pull at once.
    """
    state, name, windowed = shared.state, shared.name, shared.windowed
    on_host = groups.nonzero()
    place = on_host.to(state.environment.device)
    interval, shape = state.interval(name), state.graph[name].shape
    lower, upper = (end.movedim(1, -1) if windowed else flat(end) for end in (interval.lower, interval.upper))
    units = torch.arange(lower.shape[-1], device=place.device)
    position = place[:, 1:] if windowed else None
    for some in units.split(limit):
        start, parts = None, []
        sizes = _chunk_sizes(chunks, place.shape[0], some.shape[0], windowed)
        for where in places(on_host[:, 0], place[:, 0], position, sizes):
            rows, owners = some.shape[0] * where.owner.shape[0], where.owner.shape[0]
            if chunks.fits(rows, owners):
                start = shared.of(some, mirrored=False) if start is None else start
                parts.append(concretise(state, advance(state, start.restrict(where))))
            else:
                chunks.spare(rows, owners)
                parts.append(recomputed_rows(state, partial(_one_chunk, name, windowed, some, where)))
        index = (*(axis.unsqueeze(1) for axis in place.unbind(1)), some)
        lower = lower.index_put(index, torch.cat([part.lower for part in parts]))
        upper = upper.index_put(index, torch.cat([part.upper for part in parts]))
    if windowed:
        return Interval(lower.movedim(-1, 1), upper.movedim(-1, 1))
    return Interval(lower.reshape(-1, *shape), upper.reshape(-1, *shape))


def _chunk_sizes(chunks: Chunks, groups: int, count: int, windowed: bool) -> list[int]:
    """How many groups of `count` rows to pull at a time; factored rows are never laid out, so more of them fit."""
    most = chunks.groups(count, measured.factored_rows_gain if windowed else 1)
    return [min(most, groups - first) for first in range(0, groups, most)]


def _one_chunk(name: str, windowed: bool, units: Tensor, where: Place, state: BoundState) -> Enclosure:
    """Bounds of all rows of these units at some places, by themselves."""
    start = SharedRows(state, name, windowed).of(units, mirrored=False)
    return concretise(state, advance(state, start.restrict(where)))
