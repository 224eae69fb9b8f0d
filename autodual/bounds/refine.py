"""Tightens the interval of a bound site: dual bounds for the units whose relaxation interval arithmetic leaves open.

Skipping the others changes nothing: a unit that interval arithmetic over the *relaxed* layers decides is decided by its dual
bound too, because the dual objective is superadditive in ν (proof in `docs/mathematics.md`, section "Skipping decided units").
"""

from __future__ import annotations

import torch
from torch import Tensor

from autodual.bounds.footprint import Footprint, pull_footprint, starts_windowed
from autodual.bounds.modes import pushes
from autodual.bounds.pull import Progress, advance, concretise
from autodual.bounds.push import push_bounds
from autodual.bounds.state import BoundState
from autodual.dual.rows import Rows, Window
from autodual.interval import Interval

# Ragged rows cost more a row than dense ones (gathers, no shared products): measured 2.5 to 1.
_RAGGED_PENALTY = 2.5
# Rows in flight that keep their tensors in the processor's caches; larger chunks are slower, not faster.
_CACHE_BYTES = 16 << 20


def refine(state: BoundState, name: str, wanted: Tensor) -> None:
    """Replace the intervals of the wanted units of a node, bool `[N, *shape]`, by their dual bounds."""
    if not state.options.skip_decided:
        wanted = torch.ones_like(wanted)
    if name in state.refined:
        wanted = wanted & ~state.refined[name]
    state.refined[name] = wanted | state.refined.get(name, wanted)
    if bool(wanted.any()):
        state.intervals[name] = _dual_bounds(state, name, wanted)
    if name in state.known:
        state.intervals[name] = state.intervals[name].intersect(state.known[name])


def _dual_bounds(state: BoundState, name: str, wanted: Tensor) -> Interval:
    """Dual bounds of the wanted units (of all where that costs no more), the old interval elsewhere."""
    if pushes(state, name, wanted, is_linear(state, name)):
        return push_bounds(state, name)
    pull = _pull_windows if starts_windowed(state, name) else _pull_whole
    return pull(state, name, wanted)


def is_linear(state: BoundState, name: str) -> bool:
    """Whether one pull from this node serves lower and upper bounds."""
    return all(state.layers[other].linear for other in state.graph.ancestors[name] if other in state.layers)


def finish(state: BoundState, progress: Progress, two_sided: bool) -> Interval:
    """Bounds of rows on their way; `two_sided` rows are stacked with their negatives along K."""
    found = concretise(state, advance(state, progress))
    if not two_sided:
        return Interval(found.lower, found.upper)
    count = found.lower.shape[1] // 2
    return Interval(found.lower[:, :count], -found.lower[:, count:])


def identity_rows(state: BoundState, name: str, units: Tensor, two_sided: bool) -> Rows:
    """One row for each unit (flat indices `[K]` into the node), the same for all samples."""
    node = state.graph[name]
    environment = state.environment
    base = torch.zeros(units.shape[0], node.size, dtype=environment.dtype, device=environment.device)
    base = base.scatter(1, units.unsqueeze(1), 1.0).reshape(1, -1, *node.shape)
    return Rows(torch.cat([base, -base], 1) if two_sided else base, node.shape)


def rows_per_chunk(state: BoundState, footprint: Footprint) -> int:
    """How many rows fit: all the budget where gradients keep them alive anyway, else what stays in the caches."""
    budget = state.options.memory_budget
    if not torch.is_grad_enabled():
        budget = min(budget, _CACHE_BYTES)
    itemsize = torch.finfo(state.environment.dtype).bits // 8
    return max(1, budget // footprint.bytes(itemsize))


# --- rows over the whole node ------------------------------------------------------------------------------------------


def _pull_whole(state: BoundState, name: str, wanted: Tensor) -> Interval:
    old, shape, samples = state.intervals[name], state.graph[name].shape, state.samples
    lower, upper = (end.expand(samples, *shape).flatten(1) for end in (old.lower, old.upper))
    wanted = wanted.expand(samples, *shape).flatten(1)
    two_sided = not is_linear(state, name)
    limit = rows_per_chunk(state, pull_footprint(state, name, False))
    for units in wanted.any(0).nonzero().squeeze(1).split(limit):
        start = Progress.start(name, identity_rows(state, name, units, two_sided))
        shared = advance(state, start, stop=lambda other: state.layers[other].per_sample)
        chosen = wanted[:, units]
        if int(chosen.sum()) * _RAGGED_PENALTY > chosen.numel():
            found = _finish_dense(state, shared, two_sided, max(1, limit // units.shape[0]))
            lower, upper = lower.index_copy(1, units, found.lower), upper.index_copy(1, units, found.upper)
        else:
            owner, row = chosen.nonzero().unbind(1)
            found = _finish_ragged(state, shared, owner, row, two_sided, limit)
            place = (owner, units[row])
            lower, upper = lower.index_put(place, found.lower), upper.index_put(place, found.upper)
    return Interval(lower.reshape(samples, *shape), upper.reshape(samples, *shape))


def _finish_dense(state: BoundState, shared: Progress, two_sided: bool, samples: int) -> Interval:
    """All shared rows for all samples, some samples at a time: `[N, K]`."""
    if samples >= state.samples:
        found = finish(state, shared, two_sided)
        return found.map(lambda end: end.expand(state.samples, -1))
    everyone = torch.arange(state.samples, device=shared.centre.device)
    parts = [finish(state, shared.restrict(owner), two_sided) for owner in everyone.split(samples)]
    return _joined([part.map(lambda end, n=len(owner): end.expand(n, -1)) for part, owner in zip(parts, everyone.split(samples))])


def _finish_ragged(
    state: BoundState, shared: Progress, owner: Tensor, row: Tensor, two_sided: bool, limit: int
) -> Interval:
    """Row row[r] of the shared ones for sample owner[r]: `[R]`."""
    count = shared.centre.shape[1] // 2
    index = torch.stack([row, row + count], 1) if two_sided else row.unsqueeze(1)
    chunks = zip(owner.split(limit), index.split(limit))
    found = [finish(state, shared.select(some, rows), two_sided) for some, rows in chunks]
    return _joined(found).map(lambda end: end.squeeze(1))


# --- rows over windows -------------------------------------------------------------------------------------------------


def _pull_windows(state: BoundState, name: str, wanted: Tensor) -> Interval:
    old, shape, samples = state.intervals[name], state.graph[name].shape, state.samples
    lower, upper = (end.expand(samples, *shape) for end in (old.lower, old.upper))
    wanted = wanted.expand(samples, *shape)
    two_sided = not is_linear(state, name)
    limit = rows_per_chunk(state, pull_footprint(state, name, True))
    together = wanted.any(1).nonzero()
    if together.shape[0] * shape[0] <= int(wanted.sum()) * _RAGGED_PENALTY:
        # All channels of a position in one group: they share the patch they look at.
        found = _finish_positions(state, name, together, None, two_sided, max(1, limit // shape[0]))
        place: tuple = (together[:, 0], slice(None), *together[:, 1:].unbind(1))
        lower, upper = _put(lower, place, found.lower), _put(upper, place, found.upper)
    else:
        single = wanted.movedim(1, -1).nonzero()
        found = _finish_positions(state, name, single[:, :-1], single[:, -1], two_sided, limit)
        place = (single[:, 0], single[:, -1], *single[:, 1:-1].unbind(1))
        lower, upper = _put(lower, place, found.lower[:, 0]), _put(upper, place, found.upper[:, 0])
    return Interval(lower, upper)


def _put(values: Tensor, place: tuple, new: Tensor) -> Tensor:
    result = values.clone()
    result[place] = new
    return result


def _finish_positions(
    state: BoundState, name: str, groups: Tensor, channel: Tensor | None, two_sided: bool, limit: int
) -> Interval:
    """Bounds at groups `[G, 1 + d]` of (sample, position): of all channels `[G, C]`, or of one each `[G, 1]`."""
    shape, environment = state.graph[name].shape, state.environment
    point = (1,) * (len(shape) - 1)
    identity = torch.eye(shape[0], dtype=environment.dtype, device=environment.device)
    stride, shift = (1,) * len(point), (0,) * len(point)
    found = []
    for start in range(0, groups.shape[0], limit):
        some = groups[start : start + limit]
        base = identity.unsqueeze(0) if channel is None else identity[channel[start : start + limit]].unsqueeze(1)
        base = base.reshape(*base.shape, *point)
        window = Window(some[:, 1:], stride, shift, shape[1:])
        rows = Rows(torch.cat([base, -base], 1) if two_sided else base, shape, None, some[:, 0], window)
        found.append(finish(state, Progress.start(name, rows), two_sided))
    return _joined(found)


def _joined(parts: list[Interval]) -> Interval:
    if len(parts) == 1:
        return parts[0]
    return Interval(torch.cat([part.lower for part in parts]), torch.cat([part.upper for part in parts]))
