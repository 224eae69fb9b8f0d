"""Early exits: rows that are already decided by bounds of a node on their way need not travel on to the inputs.

At a bound site on the way, rows are bounded by that site's intervals. These are themselves dual bounds, so what they
decide the whole way decides too (superadditivity again, see `docs/mathematics.md`, section "Skipping decided units").
The rest of the way, usually the costliest since nodes are largest near the inputs, is left to the rows that stay open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from autodual.bounds.memory.row_cost import pull_footprint
from autodual.bounds.projected.projections import Projections
from autodual.bounds.rows.known_values import bounded, meets_known_values
from autodual.bounds.rows.pull import Enclosure, Progress, advance, concretise, join
from autodual.bounds.state.bound_state import BoundState, is_linear
from autodual.measured import measured


@dataclass(frozen=True, eq=False)
class Travellers:
    """Single rows on their way; `index` `[R]` says which of the rows asked for each of them is.

    cells: where they are among the rows of all groups, the others being padding; None where there is none. Groups have
    one row each where rows may leave early.
    """

    progress: Progress
    index: Tensor
    span: tuple[int, int]
    cells: Tensor | None = None

    def in_order(self, found: Enclosure) -> Enclosure:
        """Bounds `[G, K]` of the groups' rows as those of the R rows, `[R, 1]`."""

        def each(values: Tensor) -> Tensor:
            values = values.reshape(-1, 1)
            return values if self.cells is None else values[self.cells]

        return Enclosure(each(found.lower), each(found.upper))


#: Which of the travellers' rows are still undecided, `[R]`, were their bounds the enclosure's.
StillOpen = Callable[[Travellers, Enclosure], Tensor]
#: Indices of rows that have left, with their bounds `[R, 1]`.
Arrivals = list[tuple[Tensor, Enclosure]]


class _ExitSites:
    """By node, the sites on its way where rows may leave; filled as they are asked for."""

    lasting: ClassVar[bool] = True

    def __init__(self) -> None:
        self.of: dict[str, list[str]] = {}


def exits(state: BoundState, name: str) -> list[str]:
    """The sites on the way from a node where rows may be decided, nearest first.

    A site with no other site before it is left out: interval arithmetic has told there already what a look could tell.
    """
    found = state.memories.of(_ExitSites).of
    if name not in found:
        found[name] = _exits(state, name)
    return found[name]


def _exits(state: BoundState, name: str) -> list[str]:
    # No exits where one pull gives both sides: such bounds may also be pushed, or pulled in dense groups, and all ways
    # must give one bound. With the ops' own ranges a look could decide more than the whole way does.
    if not (state.skips and state.superadditive) or (state.intersects and is_linear(state, name)):
        return []
    # Nor where intervals are estimates: the whole way need not confirm what they decide.
    if state.memories.get(Projections) is not None:
        return []
    # Nor where the first op that rows meet knows of their values, which a look behind it would miss.
    if meets_known_values(state, name):
        return []
    ancestors = state.graph.ancestors
    before = [site for site in state.refined if site in ancestors[name] and site != name]
    return [
        site
        for site in sorted(before, key=state.graph.positions.__getitem__, reverse=True)
        if any(site in ancestors[other] for other in before if other != site) and _worth_a_look(state, site)
    ]


def _worth_a_look(state: BoundState, site: str) -> bool:
    if state.environment.device.type != "cpu":
        return False  # at each look the host would wait for the device, which pulls the rest of a row in less time
    ahead = pull_footprint(state, site, windowed=False).multiplications
    return ahead >= measured.early_exit_work * state.graph[site].size


def arrive(
    state: BoundState,
    name: str,
    travellers: Iterable[Travellers],
    still_open: StillOpen,
    limit: int,
    left: Arrivals,
) -> None:
    """Pull the travellers to the inputs, and append indices and bounds to `left`; about `limit` rows travel at once."""
    for site in exits(state, name):
        travellers = _look(state, site, travellers, still_open, limit, left)
    for some in travellers:
        left.append((some.index, some.in_order(bounded(state, some.progress))))


def _look(
    state: BoundState,
    site: str,
    travellers: Iterable[Travellers],
    still_open: StillOpen,
    limit: int,
    left: Arrivals,
) -> Iterator[Travellers]:
    """Let decided rows leave at a site, and gather the others into full chunks again."""
    waiting: list[Travellers] = []
    for some in travellers:
        progress = advance(state, some.progress, stop=lambda node, _: node == site)
        enclosure = concretise(state, progress)
        stays = still_open(some, enclosure)
        here, on = (~stays).nonzero()[:, 0], stays.nonzero()[:, 0]
        if here.shape[0]:
            left.append((some.index[here], Enclosure(enclosure.lower[here], enclosure.upper[here])))
        if on.shape[0]:
            waiting.append(Travellers(progress.keep(on), some.index[on], some.span))
        if sum(part.index.shape[0] for part in waiting) >= limit:
            yield _gathered(waiting)
            waiting = []
    if waiting:
        yield _gathered(waiting)


def _gathered(parts: list[Travellers]) -> Travellers:
    if len(parts) == 1:
        return parts[0]
    span = min(part.span[0] for part in parts), max(part.span[1] for part in parts)
    progress = join([part.progress for part in parts], span)
    return Travellers(progress, torch.cat([part.index for part in parts]), span)
