"""The maximum of several branches, such as max-pooling: one binary for each branch that may be the largest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy

from autodual.exact.encodings.encoding import Decided, ExactEncoding, Operand, exact_encoding
from autodual.exact.linear_program import Array, Entries, ProgramBuilder, rounded
from autodual.ir import Environment, Node, ops


@exact_encoding(ops.Maximum)
class MaximumEncoding(ExactEncoding):
    """y ≥ x_j, y ≤ x_j + (U_j - l_j)(1 - a_j) and Σ a_j = 1, where U_j is the largest upper bound of the others.

    Branches that can never be the largest are left out; a unit with one branch left is that branch.
    """

    def decided(self, node: Node, units: Array, operands: Sequence[Operand], environment: Environment) -> Decided:
        """See `ExactEncoding`."""
        alive, nothing = _alive(operands), numpy.zeros(len(units))
        return Decided(alive.sum(0) == 1, tuple(alive.astype(float)), nothing, nothing)

    def encode(
        self, node: Node, units: Array, operands: Sequence[Operand], environment: Environment, builder: ProgramBuilder
    ) -> Array:
        """See `ExactEncoding`."""
        lower, upper, columns = (
            numpy.stack([getattr(each, name) for each in operands]) for name in ("lower", "upper", "columns")
        )
        return _chosen(columns, lower, upper, _alive(operands), builder)


def _alive(operands: Sequence[Operand]) -> Array:
    """Which branches may be the largest, bool `[branches, R]`."""
    lower, upper = (numpy.stack([getattr(each, name) for each in operands]) for name in ("lower", "upper"))
    alive = upper > lower.max(0)
    alive[lower.argmax(0), numpy.arange(lower.shape[1])] = True
    return alive


def _chosen(columns: Array, lower: Array, upper: Array, alive: Array, builder: ProgramBuilder) -> Array:
    """Add units `[R]` whose branches `[B, R]` are `alive`."""
    count = columns.shape[1]
    y = builder.add_columns(lower.max(0), numpy.where(alive, upper, -numpy.inf).max(0))
    chosen: list[Entries] = []
    for branch in range(len(columns)):
        here = alive[branch].nonzero()[0]
        if not len(here):
            continue
        others = numpy.where(alive, upper, -numpy.inf)
        others[branch] = -numpy.inf
        height = others.max(0)[here]
        gap = numpy.maximum(height - lower[branch, here], 0.0)
        binary = builder.add_binaries(len(here))
        above: list[Entries] = [(None, y[here], 1.0), (None, columns[branch, here], -1.0)]
        builder.add_rows(above, 0.0, numpy.inf, len(here), numpy.zeros(len(here)))
        slack = rounded(height, lower[branch, here])
        builder.add_rows([*above, (None, binary, gap)], -numpy.inf, gap, len(here), slack)
        chosen.append((here, binary, 1.0))
    builder.add_rows(chosen, 1.0, 1.0, count, numpy.zeros(count))
    return y
