"""The least value that some function of a network's outputs takes over the set around one sample."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy
import torch
from torch import Tensor

from autodual.exact.affine_scalars import combined
from autodual.exact.branch_and_bound import Found, Goal, Tried, branch_and_bound
from autodual.exact.linear_program import Array, Program, rounded
from autodual.exact.network_program import ExactNetwork, NetworkProgram
from autodual.exact.time_allowed import Clock
from autodual.perturbations import Support, require_searchable
from autodual.tensors import flat


@dataclass(frozen=True, eq=False)
class LargestOf:
    """The largest of R linear functions row · f - offset of the outputs, whose least value over a set is asked for.

    matrix `[R, K]`, offset `[R]` and slack `[R]`, by which an offset may be off; float64. Of one row it is that
    function itself.
    """

    matrix: Array
    offset: Array
    slack: Array

    def of(self, outputs: Array) -> float:
        """The value at outputs `[K]`."""
        return float((self.matrix @ outputs - self.offset).max())

    def rows(self, some: list[int]) -> LargestOf:
        """The largest of some of them."""
        return LargestOf(self.matrix[some], self.offset[some], self.slack[some])

    def added(self, network: NetworkProgram) -> tuple[Program, Array]:
        """The network's program with a column t ≥ row · f - offset for every row, and the cost t."""
        builder, count = network.builder.copy(), len(self.matrix)
        products = numpy.stack([self.matrix * network.lower, self.matrix * network.upper])
        room = self.slack + rounded(numpy.abs(products).max(0).sum(1), self.offset) * (2 + self.matrix.shape[1])
        least, most = products.min(0).sum(1) - self.offset - room, products.max(0).sum(1) - self.offset + room
        t = builder.add_columns(numpy.array([least.max()]), numpy.array([most.max()]))
        rows, nothing = torch.from_numpy(self.matrix).to_sparse_csr(), torch.zeros(count, dtype=torch.float64)
        functions = combined([(rows, network.outputs)], nothing, nothing, torch.ones(count, dtype=torch.bool))
        builder.add_rows(
            [(None, numpy.repeat(t, count), 1.0), functions.entries(-1.0)],
            functions.constant.numpy() - self.offset,
            numpy.inf,
            count,
            functions.allowance.numpy() + self.slack + rounded(functions.constant.numpy(), self.offset),
        )
        program = builder.program()
        cost = numpy.zeros(program.width)
        cost[t] = 1.0
        return program, cost


#: A set around one sample, in float64, and the network's program over it.
Placed = tuple[Support, NetworkProgram]


def least_over(
    exact: ExactNetwork,
    places: Sequence[Placed],
    function: LargestOf,
    goal: Goal,
    clock: Clock,
    ends: Callable[[Tensor, float], bool] = lambda point, value: False,
) -> Found:
    """The least value of a function over all members of a set around one sample.

    ends: whether a point `[1, *shape]` and the function's value there end the search.
    """
    found: list[Found] = []
    for place in places:
        found.append(_least_value(exact, place, function, goal, clock, ends))
        if found[-1].ended:
            break
    best = found[-1] if found[-1].ended else min(found, key=lambda one: one.upper)
    lower = min(one.lower for one in found) if len(found) == len(places) else -math.inf
    parts, finished = sum(one.parts for one in found), all(one.finished for one in found)
    return Found(lower, best.upper, best.point, parts, finished, found[-1].ended)


def _least_value(
    exact: ExactNetwork,
    place: Placed,
    function: LargestOf,
    goal: Goal,
    clock: Clock,
    ends: Callable[[Tensor, float], bool],
) -> Found:
    """Solutions of programs are projected onto the set, and the network runs on them in float64."""
    region, network = place
    program, cost = function.added(network)
    searchable = require_searchable(region)

    @torch.no_grad()
    def attempt(solution: Array) -> Tried:
        point = searchable.project(network.point(solution, region.centre))
        value = function.of(flat(exact.dual.outputs(point))[0].cpu().numpy())
        return Tried(value, point, ends(point, value))

    return branch_and_bound(program, cost, attempt, goal, clock)
