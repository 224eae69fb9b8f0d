"""Mixed-integer programs as arrays, and how the parts of a network add their columns and rows to one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy
from torch import Tensor

Array: TypeAlias = "numpy.ndarray[Any, Any]"

#: Some entries of a block of rows: the rows' places in the block (None: all of them, in order), columns, coefficients.
Entries: TypeAlias = "tuple[Array | None, Array, Array | float]"

# A few unit roundoffs, which cover a number that was computed by a handful of operations.
_ROUNDED = 8 * 2.0**-53


@dataclass(frozen=True, eq=False)
class Program:
    """row_lower ≤ A x ≤ row_upper, lower ≤ x ≤ upper, and x[binary] in {0, 1}; all float64.

    A is stored by rows: the entries of row i are starts[i] to starts[i + 1] of `columns` and `values`. All columns are
    bounded. allowance `[R]`: by how much the true point of the network may miss a row, because its coefficients and
    ends are rounded.
    """

    starts: Array
    columns: Array
    values: Array
    row_lower: Array
    row_upper: Array
    allowance: Array
    lower: Array
    upper: Array
    binary: Array

    @property
    def width(self) -> int:
        """How many columns there are."""
        return len(self.lower)


class ProgramBuilder:
    """A program under construction: blocks of columns and of rows, whole arrays at a time."""

    def __init__(self) -> None:
        self._lower: list[Array] = []
        self._upper: list[Array] = []
        self._binary: list[Array] = []
        self._entries: list[tuple[Array, Array, Array]] = []
        self._rows: list[tuple[Array, Array, Array]] = []
        self._width = self._height = 0

    def copy(self) -> ProgramBuilder:
        """Another builder that goes on from the same program."""
        other = ProgramBuilder()
        for name, value in vars(self).items():
            setattr(other, name, list(value) if isinstance(value, list) else value)
        return other

    def add_columns(self, lower: Array, upper: Array, *, binary: bool = False) -> Array:
        """New columns with these bounds `[C]`; their numbers `[C]`."""
        first, self._width = self._width, self._width + len(lower)
        numbers = numpy.arange(first, self._width)
        self._lower.append(numpy.asarray(lower, float))
        self._upper.append(numpy.asarray(upper, float))
        if binary:
            self._binary.append(numbers)
        return numbers

    def add_binaries(self, count: int) -> Array:
        """New columns that are 0 or 1; their numbers."""
        return self.add_columns(numpy.zeros(count), numpy.ones(count), binary=True)

    def add_rows(
        self, entries: Sequence[Entries], lower: Array | float, upper: Array | float, count: int, allowance: Array
    ) -> None:
        """`count` new rows between their ends; `allowance` `[count]` as in `Program`."""
        first, self._height = self._height, self._height + count
        for place, columns, values in entries:
            here = numpy.arange(count) if place is None else place
            self._entries.append((first + here, columns, numpy.broadcast_to(numpy.asarray(values, float), here.shape)))
        low, high = (numpy.broadcast_to(numpy.asarray(end, float), (count,)) for end in (lower, upper))
        self._rows.append((low, high, allowance))

    def program(self) -> Program:
        """The program of all that was added."""
        lower, upper, binary = _joined(self._lower), _joined(self._upper), _joined(self._binary).astype(int)
        rows, columns, values = (_joined([part[kind] for part in self._entries]) for kind in range(3))
        rows, columns = rows.astype(int), columns.astype(int)
        # Columns that are fixed to zero need no coefficients.
        kept = ((lower[columns] != 0) | (upper[columns] != 0)) & (values != 0)
        rows, columns, values = rows[kept], columns[kept], values[kept]
        order = numpy.argsort(rows, kind="stable")
        starts = numpy.searchsorted(rows[order], numpy.arange(self._height + 1))
        row_lower, row_upper, allowance = (_joined([part[kind] for part in self._rows]) for kind in range(3))
        return Program(starts, columns[order], values[order], row_lower, row_upper, allowance, lower, upper, binary)


def rounded(*sizes: Array) -> Array:
    """How far a number may be off that was computed by a few operations from numbers of these sizes, elementwise."""
    return _ROUNDED * numpy.sum([numpy.abs(size) for size in sizes], axis=0)


def flat_array(values: Tensor) -> Array:
    """One sample's values `[1, *shape]` as a flat float64 array."""
    return values.detach().double().flatten().cpu().numpy()


def _joined(parts: Sequence[Array]) -> Array:
    return numpy.concatenate(parts) if len(parts) else numpy.zeros(0)
