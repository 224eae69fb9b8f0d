"""What a search has found for the objective's rows, as data: where the next search may start, and what splits gain."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from autodual.bounds.ascent.adjoint import Way
from autodual.bounds.ascent.row_scores import by_ends, intercepts
from autodual.bounds.ascent.row_search import Lines, joined_lines
from autodual.bounds.state.bound_state import BoundState


@dataclass(frozen=True, eq=False)
class SearchResult:
    """Lines and multipliers of the S rows of B subproblems, and the rows' way with them; tensors `[B, S, …]`, detached.

    Args:
        slopes: t `[B, S, *shape]` by relaxed node: `Slopes({output: slopes})` starts another search there.
        multipliers: β `[B, S, *C]`, one for each constraint of the ask in order; None for one without a multiplier.
        rows: what waited at each node on the way back, `[B, S, *shape]`.
        points: the adjoint value z* of each such node, `[B, S, *shape]`: the gradient of the bound by its row. At the
            input that is x*, the point where the bound's linear function is least.
        intercepts: by relaxed node of one operand, how much a split of each unit may raise the bound: |ν| times the
            distance between the function and the line that the row meets, at 0 where the interval holds it, else in the
            middle.
        by_lower: by operand of a relaxed node, the bound's gradient by the lower ends of its interval. by_upper:
            likewise, by the upper ends.
    """

    slopes: Mapping[str, Tensor]
    multipliers: tuple[Tensor | None, ...]
    rows: Mapping[str, Tensor]
    points: Mapping[str, Tensor]
    intercepts: Mapping[str, Tensor]
    by_lower: Mapping[str, Tensor]
    by_upper: Mapping[str, Tensor]


def search_result(state: BoundState, lines: Lines, found: Way) -> SearchResult:
    """What is known of rows at the end of their search; state: with the lines as layers."""
    shape = found.lower.shape
    ends = by_ends(state, found, lines.choices)
    return SearchResult(
        lines.choices,
        lines.multipliers,
        {name: rows.values.detach().expand(*shape, *rows.shape) for name, rows in found.rows.items()},
        found.points,
        intercepts(state, found),
        {name: end.lower for name, end in ends.items()},
        {name: end.upper for name, end in ends.items()},
    )


def joined_searches(parts: Sequence[SearchResult], whole: Callable[[list[Tensor]], Tensor]) -> SearchResult:
    """Results of several pieces of the rows as one; whole: makes one tensor of those of all pieces."""
    lines = joined_lines([Lines(dict(part.slopes), part.multipliers) for part in parts], whole)

    def each(field: str) -> dict[str, Tensor]:
        found = [getattr(part, field) for part in parts]
        return {name: whole([part[name] for part in found]) for name in found[0]}

    fields = ("rows", "points", "intercepts", "by_lower", "by_upper")
    return SearchResult(lines.choices, lines.multipliers, *map(each, fields))
