"""How many samples to bound at a time, whatever the clock says: the same batches in every run, and so the same bits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch

from autodual.bounds import BoundState, prepare, work_of_rows
from autodual.network import DualNetwork
from autodual.perturbations import Support, require_support

# Multiplications of rows of all units that a batch may take: some seconds of one thread, which is also what is lost
# where a run is stopped.
_WORK = 6e10


def growing_batches(count: int, first: int, most: int) -> Iterator[range]:
    """0, …, count - 1 in batches, each twice as large as the one before until they are as large as allowed.

    A batch costs what does not depend on its size, but small ones show soon how things go. Ends of batches depend on
    nothing else, so that who goes on where a batch has ended finds the same ones.

    Args:
        count: how many there are.
        first: the size of the first batch.
        most: the largest size; at least `first` is taken.

    Example:
        >>> from autodual.certification.growing_batches import growing_batches
        >>> [len(batch) for batch in growing_batches(100, 10, 40)]
        [10, 20, 40, 30]
    """
    place, size = 0, first
    while place < count:
        yield range(place, min(place + size, count))
        place, size = place + size, min(2 * size, max(first, most))


@torch.no_grad()
def samples_at_once(dual: DualNetwork, region: Support, bounds: int = 1) -> int:
    """How many samples take a few seconds, from the network and the shape of the set alone.

    Args:
        dual: the dual network.
        region: the set around one sample.
        bounds: how often a sample is bounded.
    """
    compiled, members = dual.compiled(region.centre), region.source.members()
    plan = compiled.plan
    (source,), (target,) = plan.graph.inputs, plan.graph.outputs
    state = BoundState(
        plan.graph,
        plan.rules,
        plan.bound_sites,
        dual.environment(compiled, region.centre),
        {source: region if len(members) == 1 else require_support(members[0].at(region.centre))},
        replace(plan.options, inner="interval", last="dual", projection=None),
    )
    prepare(state, (target,))
    return int(_WORK / max(1.0, len(members) * bounds * work_of_rows(state, target)))
