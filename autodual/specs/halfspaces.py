"""Conjunctions of clauses, each a disjunction of half-spaces (`HalfSpaces`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from autodual.errors import InvalidInputError
from autodual.specs.base import Rows, Specification, flat_outputs, guarded, output_tensor
from autodual.tensors import all_finite

Clauses = Sequence[Sequence[int]]


@dataclass(frozen=True, eq=False)
class HalfSpaces(Specification):
    """In every clause, at least one half-space matrix_s · f > offset_s holds.

    A clause counts as proved if one of its half-spaces is proved at all points. That is sound but incomplete: a clause
    may also hold because different half-spaces hold at different points.

    Args:
        matrix: `[S, K]`, or `[N, S, K]` with one per sample.
        offset: `[S]` or `[N, S]`.
        clauses: tuples of row numbers s; None: each row is a clause, so that all must hold.

    Raises:
        InvalidInputError: shapes do not fit, a number is not finite, a row is zero, or a row is in no clause.

    Example:
        >>> import torch
        >>> from autodual.specs import HalfSpaces
        >>> goal, outputs = HalfSpaces([[1.0, -1.0], [0.0, 1.0]], [0.0, 5.0], [(0, 1)]), torch.tensor([[3.0, 1.0]])
        >>> goal.margin(goal.rows(outputs).values(outputs))
        tensor([2.])
    """

    matrix: Any
    offset: Any
    clauses: Clauses | None = None

    def __post_init__(self) -> None:
        matrix, offset = output_tensor(self.matrix, "the matrix"), output_tensor(self.offset, "the offset")
        _check_rows(matrix, offset)
        clauses = [(row,) for row in range(matrix.shape[-2])] if self.clauses is None else self.clauses
        object.__setattr__(self, "matrix", matrix)
        object.__setattr__(self, "offset", offset)
        object.__setattr__(self, "clauses", checked_clauses(clauses, matrix.shape[-2]))

    def rows(self, outputs: Tensor) -> Rows:
        outputs = flat_outputs(outputs)
        count, extent = outputs.shape
        if self.matrix.shape[-1] != extent:
            raise InvalidInputError(
                f"the matrix has {self.matrix.shape[-1]} columns, but the network has {extent} outputs"
            )
        if (self.matrix.dim() == 3 and self.matrix.shape[0] != count) or (
            self.offset.dim() == 2 and self.offset.shape[0] != count
        ):
            raise InvalidInputError(f"the half-spaces are given per sample, but not for {count} samples")
        return Rows(self.matrix.to(outputs), self.offset.to(outputs))

    def margin(self, values: Tensor) -> Tensor:
        return self._index.margin(values)

    @cached_property
    def _index(self) -> ClauseIndex:
        assert self.clauses is not None
        return ClauseIndex.of(self.clauses)

    def select(self, index: Tensor | slice) -> HalfSpaces:
        matrix = self.matrix[index] if self.matrix.dim() == 3 else self.matrix
        some = replace(self, matrix=matrix, offset=self.offset[index] if self.offset.dim() == 2 else self.offset)
        vars(some)["_index"] = self._index
        return some

    @property
    def disjunctions(self) -> Clauses | None:
        return self.clauses

    def describe(self) -> str:
        assert self.clauses is not None
        return f"{len(self.clauses)} clause(s) of altogether {self.matrix.shape[-2]} half-space(s) of the outputs"

    def settings(self) -> dict[str, Any]:
        assert self.clauses is not None
        plain = {"matrix": self.matrix.tolist(), "offset": self.offset.tolist()}
        return {"specification": "half-spaces", **plain, "clauses": [list(clause) for clause in self.clauses]}


@dataclass(frozen=True, eq=False)
class ClauseIndex:
    """All clauses concatenated: the row and the clause of each entry, int64 `[E]`."""

    rows: Tensor
    clauses: Tensor
    count: int

    @classmethod
    def of(cls, clauses: Clauses) -> ClauseIndex:
        """The index of these clauses; slow for millions of them, so it is made once."""
        lengths = torch.tensor([len(clause) for clause in clauses])
        rows = torch.tensor([row for clause in clauses for row in clause])
        return cls(rows, torch.arange(len(clauses)).repeat_interleave(lengths), len(clauses))

    def margin(self, values: Tensor) -> Tensor:
        """The minimum over clauses of the maximum within each clause, for values `[*, S]`."""
        entries = values[..., self.rows.to(values.device)]
        place = self.clauses.to(values.device).expand_as(entries)
        greatest = values.new_full((*values.shape[:-1], self.count), -torch.inf)
        greatest = greatest.scatter_reduce(-1, place, entries, "amax", include_self=False)
        return guarded(greatest.min(-1).values, values)


def checked_clauses(clauses: Clauses, count: int) -> tuple[tuple[int, ...], ...]:
    """The clauses as tuples; InvalidInputError if there are none, one is empty, or a row below `count` is unused."""
    plain = tuple(tuple(clause) for clause in clauses)
    if not plain or not all(plain):
        raise InvalidInputError("a specification needs at least one clause, and every clause at least one half-space")
    used = {row for clause in plain for row in clause}
    if not all(isinstance(row, int) and 0 <= row < count for row in used):
        raise InvalidInputError(f"clauses must hold the numbers of half-spaces, 0 to {count - 1}")
    if len(used) < count:
        raise InvalidInputError(f"half-space {min(set(range(count)) - used)} is in no clause; add it to one or drop it")
    return plain


def _check_rows(matrix: Tensor, offset: Tensor) -> None:
    if matrix.dim() not in (2, 3) or offset.dim() not in (1, 2) or matrix.shape[-2] != offset.shape[-1]:
        raise InvalidInputError(
            f"half-spaces need a matrix [S, K] and an offset [S], either with a sample axis in front, but have "
            f"{list(matrix.shape)} and {list(offset.shape)}"
        )
    if matrix.shape[-2] == 0:
        raise InvalidInputError("a specification without half-spaces holds of anything; give at least one row")
    if not (all_finite(matrix) and all_finite(offset)):
        raise InvalidInputError("the matrix and the offset of half-spaces must be finite")
    empty = (matrix == 0).all(-1)
    if empty.any():
        row = int(empty.nonzero()[0, -1])
        raise InvalidInputError(f"row {row} of the matrix is zero and says nothing about the outputs; drop it")
