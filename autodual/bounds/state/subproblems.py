"""Subproblems: parts of samples' problems, any number of them for each sample, that share all that belongs to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from torch import Tensor

from autodual.bounds.state.constraints import Multiplied
from autodual.bounds.state.slopes import Slopes
from autodual.dual.rows import Rows
from autodual.interval import Interval


@dataclass(frozen=True, eq=False)
class Subproblems:
    """What B subproblems have to themselves. Each is of one sample, whose set, x and constants it shares.

    owner: `[B]` long, the sample of each; None where subproblem i is sample i.
    given: by node, intervals `[B or 1, *shape]` that hold on each subproblem's part of the set and are not computed.
    constraints: what else holds there. slopes: the lines that are chosen for rows.
    """

    owner: Tensor | None = None
    given: Mapping[str, Interval] = field(default_factory=dict)
    constraints: tuple[Multiplied, ...] = ()
    slopes: Slopes = field(default_factory=lambda: Slopes({}))

    @property
    def partial(self) -> bool:
        """Whether anything is said of parts of the samples' sets, which may have no point then."""
        return bool(self.given or self.constraints)

    def of_samples(self, values: Tensor) -> Tensor:
        """From samples' tensors `[N or 1, …]` to their subproblems': `[B or 1, …]`; one sample's are not copied."""
        return values if self.owner is None or values.shape[0] == 1 else values[self.owner]

    def seen_by_set(self, rows: Rows) -> Rows:
        """Rows of subproblems as a set sees them, which is bound to samples."""
        if self.owner is None:
            return rows
        owner = self.owner if rows.owner is None else self.owner[rows.owner]
        return replace(rows, owner=owner, span=None)

    def part(self, some: slice, count: int) -> Subproblems:
        """Some of `count` subproblems."""
        return Subproblems(
            None if self.owner is None else self.owner[some],
            {name: interval.map(lambda end: selected(end, some, count)) for name, interval in self.given.items()},
            tuple(one.mapped(lambda value: selected(value, some, count)) for one in self.constraints),
            self.slopes.mapped(lambda value: selected(value, some, count)),
        )


def selected(values: Tensor, some: slice, count: int) -> Tensor:
    """Some of `count` entries `[count, …]`; values `[1, …]` are for all of them."""
    return values if values.shape[0] != count else values[some]
