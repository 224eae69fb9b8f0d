"""Sparse matrices by rows: the few operations that torch has no name for."""

from __future__ import annotations

import warnings

import numpy
import torch
from torch import Tensor

from autodual.exact.linear_program import Array

with warnings.catch_warnings():
    # torch calls its support of sparse matrices beta, once in each process.
    warnings.simplefilter("ignore")
    torch.eye(1).to_sparse_csr()


def by_rows(place: Tensor, values: Tensor, rows: int, width: int) -> Tensor:
    """A matrix `[rows, width]` of entries `[E]` at `place` `[2, E]`, whose rows are in increasing order."""
    starts = torch.searchsorted(place[0].contiguous(), torch.arange(rows + 1))
    return torch.sparse_csr_tensor(starts, place[1], values, (rows, width), check_invariants=False)


def diagonal(values: Array) -> Tensor:
    """The square matrix with these values `[size]` on its diagonal."""
    place = torch.from_numpy(values.nonzero()[0])
    found = torch.from_numpy(numpy.ascontiguousarray(values[values != 0]))
    return by_rows(torch.stack([place, place]), found, len(values), len(values))


def only_rows(matrix: Tensor, used: Tensor) -> Tensor:
    """The matrix with all rows but those `used`, bool `[rows]`, empty."""
    counts = matrix.crow_indices().diff()
    kept = used.repeat_interleave(counts)
    starts = torch.cat([counts.new_zeros(1), torch.where(used, counts, 0).cumsum(0)])
    columns, values = matrix.col_indices()[kept], matrix.values()[kept]
    return torch.sparse_csr_tensor(starts, columns, values, matrix.shape, check_invariants=False)


def magnitudes(matrix: Tensor) -> Tensor:
    """The matrix of absolute values."""
    starts, columns = matrix.crow_indices(), matrix.col_indices()
    return torch.sparse_csr_tensor(starts, columns, matrix.values().abs(), matrix.shape, check_invariants=False)


def widened(matrix: Tensor, width: int) -> Tensor:
    """The matrix with more, empty columns."""
    starts, columns = matrix.crow_indices(), matrix.col_indices()
    return torch.sparse_csr_tensor(starts, columns, matrix.values(), (matrix.shape[0], width), check_invariants=False)


def read_columns(matrix: Tensor, rows: Array) -> Array:
    """The columns in which some rows, bool `[rows]`, have entries, bool `[width]`."""
    counts = numpy.diff(matrix.crow_indices().numpy())
    found = numpy.zeros(matrix.shape[1], bool)
    found[matrix.col_indices().numpy()[numpy.repeat(rows, counts)]] = True
    return found


def ranges(first: Array, counts: Array) -> Array:
    """first[0], …, first[0] + counts[0] - 1, first[1], … as one array."""
    return numpy.arange(counts.sum()) + numpy.repeat(first - (numpy.cumsum(counts) - counts), counts)
