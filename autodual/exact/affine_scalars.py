"""Scalars of a network as affine functions of a program's columns; they become columns only where an op needs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy
import torch
from torch import Tensor

from autodual.bounds.rounding.error_factor import error_factor
from autodual.exact.linear_program import Array, Entries, ProgramBuilder
from autodual.exact.sparse import by_rows, magnitudes, only_rows, ranges, widened

# A substitution may make a matrix so much larger than the op's own, and by so many entries beyond that.
_FILL, _FREE = 4, 100_000


@dataclass(frozen=True, eq=False)
class Expressions:
    """matrix · columns + constant for each of a node's scalars; rows of scalars that nothing reads are empty.

    matrix: sparse by rows `[size, columns]`. constant, allowance, reach: `[size]`. The true value differs from that of
    the expression by at most `allowance`; `reach` is an upper bound of |matrix| · |columns| + |constant|. All float64.
    """

    matrix: Tensor
    constant: Tensor
    allowance: Tensor
    reach: Tensor

    @classmethod
    def of_columns(cls, columns: Array, reach: Array) -> Expressions:
        """Scalars that are columns `[size]`; -1 for those that nothing reads. reach `[size]`: how large they may be."""
        read = torch.from_numpy(columns >= 0)
        place = torch.stack([read.nonzero().squeeze(1), torch.from_numpy(columns)[read]])
        zero = torch.zeros(len(columns), dtype=torch.float64)
        ones = torch.ones(place.shape[1], dtype=torch.float64)
        matrix = by_rows(place, ones, len(columns), int(columns.max(initial=0)) + 1)
        return cls(matrix, zero, zero, torch.from_numpy(reach).where(read, 0.0))

    def entries(self, factor: float) -> Entries:
        """The matrix times a factor, as entries of a block with a row for each scalar."""
        counts = self.matrix.crow_indices().diff().numpy()
        where = numpy.repeat(numpy.arange(len(counts)), counts)
        return where, self.matrix.col_indices().numpy(), factor * self.matrix.values().numpy()

    def beside(self, other: Expressions) -> Expressions:
        """The sum, of expressions of which each scalar has one at most."""
        width = max(self.matrix.shape[1], other.matrix.shape[1])
        return Expressions(
            widened(self.matrix, width) + widened(other.matrix, width),
            self.constant + other.constant,
            self.allowance + other.allowance,
            self.reach + other.reach,
        )

    def columns_of(self, units: Array, lower: Array, upper: Array, builder: ProgramBuilder) -> Array:
        """Columns of some of the scalars, which lie between lower and upper `[R]`: new ones with a row each, but for
        those that are a column already.
        """
        starts = self.matrix.crow_indices().numpy()
        columns, values = self.matrix.col_indices().numpy(), self.matrix.values().numpy()
        counts, first = (starts[1:] - starts[:-1])[units], starts[units]
        constant, allowance = self.constant.numpy()[units], self.allowance.numpy()[units]
        single = (counts == 1) & (constant == 0) & (allowance == 0)
        single[single] = values[first[single]] == 1
        found = numpy.full(len(units), -1)
        found[single] = columns[first[single]]
        rest = ~single
        y = builder.add_columns(lower[rest], upper[rest])
        where = numpy.repeat(numpy.arange(rest.sum()), counts[rest])
        entries = ranges(first[rest], counts[rest])
        parts: list[Entries] = [(None, y, 1.0), (where, columns[entries], -values[entries])]
        builder.add_rows(parts, constant[rest], constant[rest], len(y), allowance[rest])
        found[rest] = y
        return found


def combined(parts: Sequence[tuple[Tensor, Expressions]], constant: Tensor, own: Tensor, used: Tensor) -> Expressions:
    """Σ A_k · operand_k + constant in the rows `used` `[size]`, bool.

    parts: A_k `[size, size_k]`, sparse by rows, with the operands' expressions. own `[size]`: by how much the true
    value may differ from this for true operands.
    """
    parts = [(only_rows(matrix, used), operand) for matrix, operand in parts]
    width = max((operand.matrix.shape[1] for _, operand in parts), default=0)
    total = by_rows(torch.zeros(2, 0, dtype=torch.long), torch.zeros(0, dtype=torch.float64), len(constant), width)
    value, passed, reach = (torch.where(used, part, 0.0) for part in (constant, own, constant.abs()))
    terms = 0
    for matrix, operand in parts:
        terms = max(terms, int(matrix.crow_indices().diff().max()) if len(constant) else 0)
        if matrix.values().shape[0]:
            total = total + widened(matrix @ operand.matrix, width)
            sizes = magnitudes(matrix)
            value = value + matrix @ operand.constant
            passed, reach = passed + sizes @ operand.allowance, reach + sizes @ operand.reach
    # The products and sums here are rounded, which meets values of at most the reach.
    factor = error_factor(len(parts) * terms + len(parts), torch.float64)
    return Expressions(total, value, passed * (1 + factor) + factor * reach, reach * (1 + factor))


def fills_in(found: Expressions, matrices: Sequence[Tensor], used: Tensor) -> bool:
    """Whether what was `combined` of these matrices, in the rows `used`, has too many entries beside theirs."""
    entries = sum(only_rows(matrix, used).values().shape[0] for matrix in matrices)
    return found.matrix.values().shape[0] > _FILL * entries + _FREE
