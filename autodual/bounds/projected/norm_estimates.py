"""Estimates of norms at a node within the memory budget: all columns at once where they fit, else in chunks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from autodual.bounds.memory.recomputation import recomputed_rows
from autodual.bounds.memory.tensor_tree import mapped
from autodual.bounds.projected.chosen_units import chosen_units
from autodual.bounds.projected.sketch import Sketch, Term
from autodual.bounds.state.bound_state import BoundState
from autodual.estimators import BLOCK, AdditiveEstimator, SelectingEstimator, Stream
from autodual.measured import measured
from autodual.tensors import flat

# Part of the budget that one chunk of columns may take.
_SHARE = 4

Chunk = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Asked:
    """What is to be estimated at a node: some units, or linear functions of it with coefficients `[N or 1, S, F]`.

    wanted: which units, `[N, *shape]`, K in all; None for every unit of all samples.
    error: how far rounding may have moved a product, in units of its column's largest random number; None for not at
        all.
    """

    name: str
    coefficients: Tensor | None = None
    error: Tensor | None = None
    wanted: Tensor | None = None

    def of(self, columns: Tensor) -> Tensor:
        """From columns of the node `[count, N or 1, *shape]` to products `[count, N or 1, *]`, or `[count, K]`."""
        if self.wanted is not None:
            return chosen_units(columns, self.wanted)
        if self.coefficients is None:
            return columns
        return torch.einsum("nsf,cnf->cns", self.coefficients, flat(columns, 2))


class Norms:
    """Estimates of one bound computation.

    shared: one sketch serves all sites as long as it fits; else each estimate draws its own columns.
    """

    def __init__(self, state: BoundState, stream: Stream, *, shared: bool):
        self.state, self.stream, self.shared = state, stream, shared
        self._sketches: dict[str, Sketch] = {}

    def estimate(self, term: Term, asked: Asked, purpose: str) -> Tensor:
        """The estimated norms, `[N or 1, *]` or `[K]`, of a term that reaches the node.

        purpose: names the stream of random numbers.
        """
        stream = self._stream(term, purpose)
        if self.shared and self._fits(term, asked.name):
            sketch = self._sketches.setdefault(term.name, Sketch(self.state, term, stream, 0, term.estimator.rows))
            return term.estimator.norm(asked.of(sketch.at(asked.name)))
        if isinstance(term.estimator, AdditiveEstimator):
            totals = [self._part(_total, term, stream, asked, chunk) for chunk in self._chunks(term, asked.name)]
            return term.estimator.from_total(torch.stack(totals).sum(0))
        return self._selected(term, stream, asked)

    def _stream(self, term: Term, purpose: str) -> Stream:
        own = self.stream if self.shared else self.stream.branch("site", purpose)
        return own.branch("term", term.name)

    # --- what fits -----------------------------------------------------------------------------------------------

    def _fits(self, term: Term, name: str) -> bool:
        """Whether the shared sketch may be brought to a node whole; gradients then keep it."""
        rows, ancestors = term.estimator.rows, self.state.graph.ancestors[name]
        if not torch.is_grad_enabled():
            return measured.sketch_tensors * rows * max(map(self._bytes, ancestors)) <= self.state.options.room
        sketch = self._sketches.get(term.name)
        there = frozenset() if sketch is None else sketch.reached
        return self._kept(measured.sketch_tensors_kept * rows * sum(map(self._bytes, ancestors - there)))

    def _kept(self, size: int) -> bool:
        """Whether gradients may keep so many bytes, which are then noted."""
        if not self.state.ledger.fits(size):
            return False
        self.state.ledger.keep(size)
        return True

    def _bytes(self, name: str) -> int:
        """Of one column of all samples at a node."""
        return max(1, self.state.graph[name].size * self.state.samples * self.state.itemsize)

    def _chunks(self, term: Term, name: str) -> list[Chunk]:
        """First column and count of each chunk."""
        rows = term.estimator.rows
        sizes = [self._bytes(other) for other in self.state.graph.ancestors[name]]
        column = sum(sizes) if torch.is_grad_enabled() else max(sizes)
        fitting = max(1, self.state.options.room // (_SHARE * measured.sketch_tensors * column))
        size = fitting // BLOCK * BLOCK if fitting >= BLOCK else fitting
        return [(first, min(size, rows - first)) for first in range(0, rows, size)]

    def _part(self, work: Callable[..., Tensor], term: Term, stream: Stream, asked: Asked, chunk: Chunk, *more: Tensor):
        """Work on some columns; if gradients have no room for what it records, it is computed again in the backward
        pass.
        """
        if torch.is_grad_enabled():
            needed = (
                measured.sketch_tensors_kept * chunk[1] * sum(map(self._bytes, self.state.graph.ancestors[asked.name]))
            )
            if not self._kept(needed):
                self.state.ledger.spare(needed)
                return recomputed_rows(self.state, work, term, stream, asked, chunk, *more)
        return work(self.state, term, stream, asked, chunk, *more)

    # --- estimators that must see all columns at once ------------------------------------------------------------

    def _selected(self, term: Term, stream: Stream, asked: Asked) -> Tensor:
        """First the norms, then, for their gradient alone, the entries that it flows through."""
        chunks, recorded = self._chunks(term, asked.name), torch.is_grad_enabled()
        with torch.no_grad():
            # A copy: layers cache what they compute, and here it has no gradients.
            given = mapped((self.state.present(), term, stream, asked), Tensor.detach)
            norm = _block_by_block(*given, chunks)
            if not recorded:
                return norm
            total = torch.stack([_picked(*given, chunk, norm) for chunk in chunks]).sum(0)
            factor = torch.where(total == 0, 0.0, norm / total)
        parts = [self._part(_picked, term, stream, asked, chunk, norm) for chunk in chunks]
        # Of the size of the norm already, but for rounding.
        grown = torch.stack(parts).sum(0) * factor
        return norm + (grown - grown.detach())


def _products(state: BoundState, term: Term, stream: Stream, asked: Asked, chunk: Chunk) -> Tensor:
    return asked.of(Sketch(state, term, stream, *chunk).at(asked.name))


def _total(state: BoundState, term: Term, stream: Stream, asked: Asked, chunk: Chunk) -> Tensor:
    """What some columns add to the total of an additive estimator."""
    estimator = term.estimator
    assert isinstance(estimator, AdditiveEstimator)
    sketch = Sketch(state, term, stream, *chunk)
    products = asked.of(sketch.at(asked.name))
    if asked.error is not None:
        # The products as they should be are no larger than this.
        peak = sketch.peak.reshape(-1, *[1] * asked.error.dim())
        products = products.abs() + peak * asked.error
    return estimator.term(products).sum(0)


def _picked(state: BoundState, term: Term, stream: Stream, asked: Asked, chunk: Chunk, norm: Tensor) -> Tensor:
    """The sum of some columns' magnitudes that the gradient of a norm flows through."""
    estimator = term.estimator
    assert isinstance(estimator, SelectingEstimator)
    products = _products(state, term, stream, asked, chunk)
    return torch.where(estimator.selected(products.detach(), norm), products.abs(), 0.0).sum(0)


def _block_by_block(state: BoundState, term: Term, stream: Stream, asked: Asked, chunks: list[Chunk]) -> Tensor:
    """Norms of one block of units after another, each from all columns anew."""
    products, rows = _products(state, term, stream, asked, chunks[0]), term.estimator.rows
    shape, units = products.shape[1:], products[0].numel()
    most = max(1, state.options.room // (2 * measured.sketch_tensors * state.itemsize * rows))
    norms = []
    for start in range(0, units, most):
        block = products.new_empty(rows, min(most, units - start))
        for first, count in chunks:
            part = flat(_products(state, term, stream, asked, (first, count)))
            block[first : first + count] = part[:, start : start + most]
        norms.append(term.estimator.norm(block))
    return torch.cat(norms).reshape(shape)
