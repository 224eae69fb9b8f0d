"""Which way rows meet the input at a bound site: a cost model picks pull or push; both give the same bounds.

Pull carries the undecided units of this site through every earlier layer. Push carries the inputs and all undecided
units so far through every layer once. It is the choice that automatic differentiation makes for Jacobians.
"""

from __future__ import annotations

import torch
from torch import Tensor

from autodual.bounds.columns.push import PushedColumns
from autodual.bounds.memory.row_cost import pull_footprint, starts_windowed
from autodual.bounds.state.bound_state import BoundState
from autodual.bounds.state.kept_bytes import KEPT_BY_COLUMNS
from autodual.measured import measured

# Part of the memory budget that columns may take where forward mode was not asked for.
_PUSH_SHARE = 2


def pushes(state: BoundState, name: str, wanted: Tensor, linear: bool) -> bool:
    """Whether to push columns to a site rather than pull rows for its wanted units.

    Only linear relaxations can be pushed. Rigorous bounds pull, since their error analysis is made for rows; so do
    several subproblems of one sample, since columns meet the set by samples.
    """
    options = state.options
    if options.mode == "pull" or options.rigorous or not linear or state.subproblems.owner is not None:
        return False
    scalars, cost = _push_cost(state, name)
    # With mode='push', use it wherever it fits.
    share = 1 if options.mode == "push" else _PUSH_SHARE
    if scalars * state.itemsize * measured.pushed_tensors > options.room // share:
        return False
    if torch.is_grad_enabled() and not state.ledger.fits(scalars * state.itemsize * KEPT_BY_COLUMNS):
        return False
    if options.mode == "push":
        return True
    footprint = pull_footprint(state, name, starts_windowed(state, name))
    return cost * measured.push_cost < int(wanted.sum()) * footprint.multiplications


def _push_cost(state: BoundState, name: str) -> tuple[int, float]:
    """Scalars that all columns before a site hold, and multiplications to bring them there from where they are now."""
    counts: dict[str, int] = {}
    pushed = state.memories.of(PushedColumns)
    cost, sizes = 0.0, []
    for node in state.graph.nodes[: state.graph.positions[name] + 1]:
        if node.name not in state.graph.ancestors[name]:
            continue
        layer = state.layers.get(node.name)
        if layer is None:
            counts[node.name] = node.size
            continue
        counts[node.name] = max((counts[operand] for operand in node.inputs), default=0)
        spread = layer.spread()
        if spread is not None:
            per_input = sum(state.graph[source].size for source in state.regions) * state.samples
            counts[node.name] = max(counts[node.name], per_input) + _undecided(state, node.name, spread)
        sizes.append(counts[node.name] * node.size)
        if node.name not in pushed.of:
            cost += counts[node.name] * layer.multiplications
    # What the sets hold of as many rows as the site has units, at the end.
    rows = state.samples * state.graph[name].size
    held = sum(rows * region.working_scalars(state.graph[source].size) for source, region in state.regions.items())
    # Columns of all nodes are kept for the sites behind them, as well as for gradients.
    return sum(sizes) + held, cost


def _undecided(state: BoundState, name: str, spread: Tensor) -> int:
    count = state.memories.of(PushedColumns).count
    if name not in count:
        count[name] = int((spread != 0).sum())
    return count[name]
