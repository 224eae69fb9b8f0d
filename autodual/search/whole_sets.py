"""Whole sets of claims: what all their parts inherit is computed once, in more ways than one."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from autodual.search.part_batch import Parts
from autodual.search.part_bounds import STEP_COST, Bounded, PartBounds

# Steps of a search for the slopes of a whole set's intervals, and the multiplications that these may take.
_INNER_STEPS, _INNER_WORK = 10, 6e10


@torch.no_grad()
def with_intervals(bounds: PartBounds, roots: Parts) -> Parts:
    """Whole sets of claims about one sample, with the intervals of that set, computed once for all of them.

    These serve all its parts, so they are searched for better slopes, by as many steps as their number allows.
    """
    one, dtype = roots.select(torch.zeros_like(roots.claim[:1])), bounds.first.centre.dtype
    state = bounds.prepared(one, dtype, bounds.options)
    each = sum(layer.multiplications for layer in state.layers.values()) or 1
    bounded = [name for name in state.refined if not state.sites[name].exact_over(state.regions)]
    rows = 2 * sum(int(state.refined[name].sum()) for name in bounded)
    steps = min(_INNER_STEPS, int(_INNER_WORK / (STEP_COST * each * max(rows, 1))))
    one = replace(one, intervals=bounds.intervals(one, state))
    if bounds.plan.contains:
        simpler = replace(bounds.options, slopes="shared")
        one = replace(one, intervals=bounds.intervals(one, bounds.prepared(one, dtype, simpler)))
    if steps > 1:
        searching = replace(bounds.options, slopes="optimized", inner_steps=steps)
        one = replace(one, intervals=bounds.intervals(one, bounds.prepared(one, dtype, searching)))
    shapes = {name: (roots.count, *interval.shape[1:]) for name, interval in one.intervals.items()}
    intervals = {
        name: interval.map(lambda end, shape=shapes[name]: end.expand(shape))
        for name, interval in one.intervals.items()
    }
    return replace(roots, intervals=intervals, stale=torch.zeros_like(roots.stale))


@torch.no_grad()
def bound_wholes(bounds: PartBounds, roots: Parts, dtype: torch.dtype, *, steps: int) -> Bounded:
    """Bounds of whole sets, never looser than those of the network's `lower_bounds`.

    Their last rows are also pulled by parallel lines, and end wherever ops know of their values. For every part that
    would take a fifth longer, and spare a twentieth of the parts; but parts inherit the intervals.
    """
    refresh = bool(roots.stale.any())
    found = bounds.bound(roots, dtype, refresh=refresh, steps=steps)
    parts = _also(found.parts, bounds.last_bound(roots, found.state))
    if refresh and bounds.plan.contains:
        state = bounds.prepared(roots, dtype, replace(bounds.options, slopes="shared"))
        simpler = bounds.intervals(roots, state)
        both = {name: one.intersect(simpler[name]) for name, one in parts.intervals.items()}
        parts = replace(_also(parts, bounds.last_bound(roots, state)), intervals=both)
    return replace(found, parts=parts)


def _also(parts: Parts, bound: Tensor) -> Parts:
    """Parts of which this is proved, too."""
    return replace(parts, bound=parts.bound.fmax(bound))
