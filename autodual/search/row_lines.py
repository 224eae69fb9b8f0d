"""The lines and multipliers of parts' rows: where a search for them begins, and the rows pulled with what it finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from autodual.bounds import BoundState, Split
from autodual.bounds.ascent.chosen_lines import Choices, Families, families_before, under
from autodual.bounds.ascent.row_search import Done, Lines, Task, joined_lines, searched
from autodual.bounds.rows.constrained import join_constraints
from autodual.bounds.rows.pull import Progress, advance
from autodual.dual.rows import Rows
from autodual.search.part_batch import Parts


@dataclass(frozen=True, eq=False)
class Pulled:
    """Rows `[M, R, *shape]` of a node that have arrived at the input.

    passed: what they were at each node on their way. lines: by relaxed node, and for each of the `splits`, by site.
    """

    progress: Progress
    passed: Mapping[str, Rows]
    slopes: Choices
    multipliers: Mapping[str, Tensor]


def splits_of(parts: Parts, dtype: torch.dtype) -> tuple[Split, ...]:
    """The constraints of split units, of the sites where any part has some."""
    return tuple(
        Split(name, sign.to(dtype), parts.point[name].to(dtype), multiplier=parts.multiplier[name].to(dtype))
        for name, sign in parts.sign.items()
        if bool(sign.any())
    )


def pulled(
    state: BoundState, name: str, rows: Tensor, parts: Parts, enough: Tensor, steps: int, climbing: Tensor
) -> Pulled:
    """Rows of a node pulled with the parts' own lines, or with those that so many steps find from there on.

    enough: bounds `[M, R]`, any of which closes a part. climbing: the parts that take steps, bool `[M]`.
    """
    splits, steps = splits_of(parts, rows.dtype), steps if bool(climbing.any()) else 0
    state = replace(state, subproblems=replace(state.subproblems, constraints=splits))
    constrained = [split.node for split in splits]
    families = families_before(state, name, *constrained)
    multipliers = tuple(split.multiplier for split in splits)
    lines = Lines(_choices(parts, families, rows.dtype, searched=steps > 0), multipliers)
    start = Progress.start(name, Rows(rows, state.graph[name].shape), one_sided=True)
    if steps and (lines.choices or splits):
        task = Task(state, start, None, families, _done(enough))
        lines = _searched(task, lines, steps, climbing, warm=bool((parts.depth > 0).all()))
    chosen = under(state, families, lines.choices)
    passed: dict[str, Rows] = {}
    progress = advance(chosen, join_constraints(chosen, start, lines.multipliers, None), passed=passed)
    found = {split.node: beta for split, beta in zip(splits, lines.multipliers) if beta is not None}
    return Pulled(progress, passed, lines.choices, found)


def _searched(task: Task, lines: Lines, steps: int, climbing: Tensor, *, warm: bool) -> Lines:
    """The lines of all groups, of which some, bool `[M]`, are searched."""
    index = climbing.nonzero()[:, 0]
    if len(index) == task.groups:
        return searched(task, lines, steps, warm=warm)
    whole = lines.each_row(task.groups, task.start.centre.shape[1])
    if not len(index):
        return whole
    found = searched(task.keep(index), whole.keep(index), steps, warm=warm)
    return joined_lines([whole, found], lambda both: both[0].index_copy(0, index, both[1]))


def _done(enough: Tensor) -> Done:
    """All rows of a part are done when one of them is good enough."""

    def done(index: Tensor, best: Tensor) -> Tensor:
        return (best > enough[index]).any(1, keepdim=True).expand_as(best)

    return done


def _choices(parts: Parts, families: Families, dtype: torch.dtype, *, searched: bool) -> Choices:
    """The parts' slopes, and adaptive ones where none were ever chosen.

    searched: whether they are needed also where no search has chosen any.
    """
    found = {}
    for name, family in families.items():
        if name in parts.slopes and (searched or bool((parts.slopes[name] >= 0).any())):
            start = family.first.lower_intercept.new_zeros(()) if family.start is None else family.start.unsqueeze(1)
            found[name] = torch.where(parts.slopes[name] < 0, start, parts.slopes[name].to(dtype))
    return found
