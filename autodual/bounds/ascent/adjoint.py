"""Adjoint values: the gradient of a bound by every row on its way, without automatic differentiation.

Rows go back once, and what waits at each node is remembered. Then one point goes forwards: x*, where the last row is
least over the set, through affine nodes as they are and through relaxed nodes on the lines that the rows meet. Its
value z* at a node is the gradient of the bound by the row that waits there. So the bound's gradients by slopes, by
multipliers and by the ends of intervals are products of rows and values (`docs/mathematics.md`, "Searched slopes").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from autodual.bounds.rows.pull import Progress, advance, over_set
from autodual.bounds.state.bound_state import BoundState
from autodual.dual.rows import Rows
from autodual.tensors import flat


@dataclass(frozen=True, eq=False)
class Way:
    """Rows on their whole way back, and their adjoint values.

    lower: the bounds `[G, K]`, rounding not allowed for. rows: what waited at each node that was passed, and at the
    inputs. points: z* of the same nodes, `[G, K, *shape]`.
    """

    lower: Tensor
    rows: Mapping[str, Rows]
    points: Mapping[str, Tensor]


@torch.no_grad()
def way(state: BoundState, progress: Progress) -> Way:
    """The way of rows that cover whole nodes, whose bounds are one-sided."""
    passed: dict[str, Rows] = {}
    return ahead(state, advance(state, progress, passed=passed), passed)


@torch.no_grad()
def ahead(state: BoundState, progress: Progress, passed: Mapping[str, Rows]) -> Way:
    """The way of rows that have reached the inputs. passed: the rows of each node that they have passed."""
    rows, lower = dict(passed), progress.centre
    points: dict[str, Tensor] = {}
    for name, ending in progress.pending.items():
        rows[name] = ending
        points[name] = _lowest(state, name, ending, lower.shape)
        lower = lower + torch.linalg.vecdot(flat(ending.values, 2), flat(points[name], 2))
    for name in sorted(passed, key=state.graph.positions.__getitem__):
        operands = [points[operand] for operand in state.graph[name].inputs]
        point = state.layers[name].along(rows[name], operands)
        points[name] = point.expand(*lower.shape, *point.shape[2:])  # a constant's is the same for all
    return Way(lower, rows, points)


def _lowest(state: BoundState, name: str, rows: Rows, count: torch.Size) -> Tensor:
    """The point of an input's set where each row is least, `[G, K, *shape]`: the gradient of the set's support
    function.
    """
    shape = (max(count[0], rows.groups, state.samples if rows.owner is None else 1), *rows.values.shape[1:])
    if state.regions[name].independent:
        ends = state.interval(name)
        # `where` takes ten times as long on a CPU.
        return torch.addcmul(
            rows.features(ends.centre), rows.values.sign(), rows.features(ends.radius), value=-1.0
        ).expand(shape)
    with torch.enable_grad():
        values = rows.values.detach().expand(shape).clone().requires_grad_()
        least, _ = over_set(state, name, rows.with_values(values), one_sided=True)
        return torch.autograd.grad(least.sum(), values)[0].nan_to_num(0.0)
