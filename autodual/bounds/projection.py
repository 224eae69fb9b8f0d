"""Bounds whose norms are estimated from random projections: linear cost, and either no guarantee (medians, for
training) or one with a stated probability of failure.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from autodual.bounds.footprint import pull_footprint, starts_windowed
from autodual.bounds.profile import Profile
from autodual.bounds.sites import exact_by_intervals, followers
from autodual.bounds.sketch import Sketch, Term
from autodual.bounds.state import BoundState
from autodual.dual.rule import NonlinearRule
from autodual.estimators import (
    BLOCK,
    AdditiveEstimator,
    CauchyGeometricMean,
    CauchyMedian,
    Estimator,
    GaussianNorm,
    SelectingEstimator,
    Stream,
)
from autodual.interval import Interval
from autodual.policies import Projection

#: From columns of a node `[count, N or 1, *shape]` to the products that are to be estimated, `[count, N or 1, *]`.
Read = Callable[[Tensor], Tensor]

# Tensors as large as columns that are alive at once, at the largest node, and that gradients keep at each (measured).
_COPIES, _KEPT = 3, 2
# No node's name: the purpose of the last bound's own columns.
_OBJECTIVE = "(objective)"
# Part of the budget that one chunk of columns may take.
_SHARE = 4


def estimator_for(order: int, projection: Projection) -> Estimator:
    """The estimator of norms of an order: medians for training, geometric means where a probability is asked for."""
    if order == 2:
        return GaussianNorm(projection.dim)
    return CauchyGeometricMean(projection.dim) if projection.certifies else CauchyMedian(projection.dim)


class Projections:
    """Estimated bounds during one bound computation.

    stream: of random numbers. objectives: S, how many linear functions of the output are asked for. Where bounds are to
    hold with a probability, every site has columns of its own: the relaxations before it depend on those of the sites
    before, and a tail bound holds for vectors that do not.
    """

    def __init__(
        self,
        state: BoundState,
        projection: Projection,
        stream: Stream,
        objectives: int,
        estimator: Callable[[int, Projection], Estimator] = estimator_for,
    ):
        self.state, self.projection, self.stream, self.objectives = state, projection, stream, objectives
        self._middles: dict[str, Tensor] = {}
        self._sketches: dict[str, Sketch] = {}
        self.terms = self._terms(estimator)
        #: Which samples `[N]` owe a bound to an estimate.
        self.estimated = torch.zeros(state.samples, dtype=torch.bool, device=state.environment.device)

    def _terms(self, estimator: Callable[[int, Projection], Estimator]) -> list[Term]:
        ones: dict[str, Tensor] = {}
        terms = []
        for name, region in self.state.regions.items():
            form = region.centred_norms()
            self._middles[name] = form.middle
            for number, norm in enumerate(form.norms):
                if norm.order == 1:
                    ones[name] = norm.weights
                else:
                    chosen = estimator(norm.order, self.projection)
                    terms.append(Term(f"{name}:{number}", chosen, {name: norm.weights}, relaxed=False))
            if self.state.options.rigorous:
                slack = region.rounding()
                ones[name] = ones[name] + slack if name in ones else slack
        return [Term("", estimator(1, self.projection), ones, relaxed=True), *terms]

    # --- which bounds --------------------------------------------------------------------------------------------

    def chooses(self, name: str, wanted: Tensor) -> Tensor:
        """Which samples `[N]` get estimates at a site, of whose units `[N, *shape]` some are wanted.

        Each sample by its own units, so that no bound depends on the batch.
        """
        count = wanted.flatten(1).sum(1)
        if self.projection.where == "last":
            return torch.zeros_like(count, dtype=torch.bool)
        if not self.projection.prefer_exact:
            return count > 0
        state = self.state
        row = pull_footprint(state, name, starts_windowed(state, name)).multiplications
        column = pull_footprint(state, name, windowed=False).multiplications
        return count * max(row, 1.0) > self.projection.dim * column

    @property
    def objective(self) -> bool:
        """Whether the last bound is estimated."""
        return self.projection.where != "inner"

    @cached_property
    def count(self) -> int:
        """How many norms of one sample may be estimated: what a union bound pays for."""
        graph, state = self.state.graph, self.state
        read = {
            followers(state, operand)[1]
            for node in graph
            if isinstance(state.rules.get(node.name), NonlinearRule)
            for operand in node.inputs
        }
        sites = [name for name in read if not exact_by_intervals(state, name)]
        units = sum(graph[name].size for name in sites) if self.projection.where != "last" else 0
        return (units + (self.objectives if self.objective else 0)) * len(self.terms)

    def used(self, samples: Tensor) -> None:
        """Note that some samples `[N]` owe a bound to an estimate."""
        self.estimated = self.estimated | samples

    # --- estimates -----------------------------------------------------------------------------------------------

    def interval(self, name: str) -> Interval:
        """Estimated bounds of every unit of a node, `[N, *shape]`."""
        found = Interval.around(self._middle(name), self._width(name, name, lambda columns: columns))
        profile = self._profile
        if profile is not None:
            found = found.widen(profile.centre_error(name))
        shape = (self.state.samples, *self.state.graph[name].shape)
        return found.map(lambda end: end.expand(shape))

    def lower(self, name: str, objective: Tensor) -> tuple[Tensor, Tensor | None]:
        """Estimated lower bounds `[N, S]` of linear functions `[N or 1, S, *shape]` of a node, and their rounding
        error.
        """
        coefficients = objective.flatten(2)

        def read(columns: Tensor) -> Tensor:
            return torch.einsum("nsf,cnf->cns", coefficients, columns.flatten(2))

        middle = read(self._middle(name).unsqueeze(0))[0]
        lower = middle - self._width(name, _OBJECTIVE, read, coefficients)
        profile = self._profile
        error = None if profile is None else profile.objective_error(name, coefficients)
        lower = lower if error is None else lower - error
        shape = (self.state.samples, objective.shape[1])
        return lower.expand(shape), None if error is None else error.expand(shape)

    def _width(self, name: str, purpose: str, read: Read, coefficients: Tensor | None = None) -> Tensor:
        """Half the width of bounds: the sum of all terms, each raised so that it falls short rarely enough."""
        total = self._middle(name).new_zeros(())
        for term in self.terms:
            norm = self._norm(term, name, purpose, read, coefficients)
            if norm is not None:
                total = total + norm * (self._inflation(term) * self._rounding(term))
        return total

    @property
    def inflation(self) -> float:
        """What estimates are multiplied by at most, so that each falls short with a small enough probability only."""
        return max(self._inflation(term) for term in self.terms)

    def _inflation(self, term: Term) -> float:
        return term.estimator.inflation(self.failure_of_each) if self.projection.certifies else 1.0

    def _rounding(self, term: Term) -> float:
        """Room for the sums that an estimate is made of; logarithms of float64 are at most 745 large."""
        return 1 + 1000 * self.state.error_factor(term.estimator.rows) if self.state.options.rigorous else 1.0

    @cached_property
    def failure_of_each(self) -> float:
        """The share of the failure probability of each estimate, by the union bound over all of a sample."""
        assert self.projection.delta is not None
        return self.projection.delta / max(1, self.count)

    def _middle(self, name: str) -> Tensor:
        """The centre line's value at a node, `[N or 1, *shape]`."""
        graph = self.state.graph
        for node in graph.nodes[: graph.positions[name] + 1]:
            if node.name in graph.ancestors[name] and node.name not in self._middles:
                operands = [self._middles[operand] for operand in node.inputs]
                self._middles[node.name] = self.state.layers[node.name].constant(operands)
        return self._middles[name]

    @cached_property
    def _profile(self) -> Profile | None:
        return Profile(self.state, self.terms, dict(self._middles)) if self.state.options.rigorous else None

    # --- norms within the memory budget --------------------------------------------------------------------------

    def _norm(self, term: Term, name: str, purpose: str, read: Read, coefficients: Tensor | None) -> Tensor | None:
        """The estimate of one term, or None where none of its sources reaches the node."""
        estimator = term.estimator
        if self._fits(term, name) and not self.projection.certifies:
            columns = self._shared(term).at(name)
            return None if columns is None else estimator.norm(read(columns))
        if isinstance(estimator, AdditiveEstimator):
            totals = [
                self._recorded(partial(self._total, term, name, purpose, read, coefficients, first, count))
                for first, count in self._chunks(term, name)
            ]
            return None if totals[0] is None else estimator.from_total(sum(totals))  # type: ignore[arg-type]
        assert isinstance(estimator, SelectingEstimator)
        return self._in_blocks(estimator, term, name, read)

    def _total(
        self, term: Term, name: str, purpose: str, read: Read, coefficients: Tensor | None, first: int, count: int
    ) -> Tensor | None:
        """What some columns add to the total of an additive estimator."""
        assert isinstance(term.estimator, AdditiveEstimator)
        sketch = Sketch(self.state, term, self._stream(term, purpose), first, count)
        columns = sketch.at(name)
        if columns is None:
            return None
        products = read(columns)
        if self._profile is not None:
            # The products as they should be are no larger than this.
            products = products.abs() + self._profile.product_error(name, sketch, coefficients)
        return term.estimator.term(products).sum(0)

    def _stream(self, term: Term, purpose: str) -> Stream:
        """A site's own columns, unless nothing is proved with them."""
        own = self.stream.branch("site", purpose) if self.projection.certifies else self.stream
        return own.branch("term", term.name)

    def _shared(self, term: Term) -> Sketch:
        """All columns, kept from site to site."""
        if term.name not in self._sketches:
            stream = self._stream(term, "")
            self._sketches[term.name] = Sketch(self.state, term, stream, 0, term.estimator.rows)
        return self._sketches[term.name]

    def _bytes(self, name: str) -> int:
        """Of one column of all samples at a node."""
        itemsize = torch.finfo(self.state.environment.dtype).bits // 8
        return max(1, self.state.graph[name].size * self.state.samples * itemsize)

    def _fits(self, term: Term, name: str) -> bool:
        """Whether all columns on the way to a node may be held at once; where gradients keep them, this notes it."""
        state, rows, ancestors = self.state, term.estimator.rows, self.state.graph.ancestors[name]
        if not torch.is_grad_enabled():
            return _COPIES * rows * max(self._bytes(other) for other in ancestors) <= state.options.room
        known = self._sketches[term.name]._done if term.name in self._sketches else frozenset()
        needed = _KEPT * rows * sum(self._bytes(other) for other in ancestors - known)
        fitting = state.ledger.fits(needed)
        if fitting:
            state.ledger.keep(needed)
        return fitting

    def _chunks(self, term: Term, name: str) -> list[tuple[int, int]]:
        """First column and count of each chunk."""
        rows = term.estimator.rows
        largest = max(self._bytes(other) for other in self.state.graph.ancestors[name])
        if torch.is_grad_enabled():
            largest = sum(self._bytes(other) for other in self.state.graph.ancestors[name])
        fitting = self.state.options.room // (_SHARE * _COPIES * largest)
        size = max(1, fitting // BLOCK) * BLOCK if fitting >= BLOCK else max(1, fitting)
        return [(first, min(size, rows - first)) for first in range(0, rows, size)]

    def _recorded(self, work: Callable[[], Tensor | None]) -> Tensor | None:
        """Work whose intermediate results are computed again in the backward pass, where gradients are recorded."""
        if not torch.is_grad_enabled():
            return work()
        return checkpoint(work, use_reentrant=False, preserve_rng_state=False)

    def _in_blocks(self, estimator: SelectingEstimator, term: Term, name: str, read: Read) -> Tensor | None:
        """Where the columns of all units do not fit at once: block by block of units, each from all columns anew; then,
        for the gradient alone, the entries that it flows through once more, chunk by chunk of columns.
        """
        chunks = self._chunks(term, name)
        norm = self._blocks(estimator, term, name, read, chunks)
        if norm is None or not torch.is_grad_enabled():
            return norm
        picked = partial(self._picked, estimator, term, name, read, norm)
        # Detached rather than without gradients: what layers keep from here on must have them.
        total = torch.stack([picked(*chunk).detach() for chunk in chunks]).sum(0)
        factor = torch.where(total == 0, 0.0, norm / total)
        parts = [self._recorded(partial(picked, *chunk)) for chunk in chunks]
        # Of the size of the norm already, but for rounding.
        grown = torch.stack([part for part in parts if part is not None]).sum(0) * factor
        return norm + (grown - grown.detach())

    def _blocks(
        self, estimator: SelectingEstimator, term: Term, name: str, read: Read, chunks: list[tuple[int, int]]
    ) -> Tensor | None:
        products = self._products(term, name, read, *chunks[0])
        if products is None:
            return None
        products = products.detach()
        shape, units = products.shape[1:], products[0].numel()
        room = self.state.options.room // (2 * _COPIES * products.element_size() * estimator.rows)
        norms = []
        for start in range(0, units, max(1, room)):
            stop = min(units, start + max(1, room))
            block = products.new_empty(estimator.rows, stop - start)
            for first, count in chunks:
                part = self._products(term, name, read, first, count)
                assert part is not None
                block[first : first + count] = part.detach().flatten(1)[:, start:stop]
            norms.append(estimator.norm(block))
        return torch.cat(norms).reshape(shape)

    def _products(self, term: Term, name: str, read: Read, first: int, count: int) -> Tensor | None:
        columns = Sketch(self.state, term, self._stream(term, ""), first, count).at(name)
        return None if columns is None else read(columns)

    def _picked(
        self, estimator: SelectingEstimator, term: Term, name: str, read: Read, norm: Tensor, first: int, count: int
    ) -> Tensor:
        """The sum of some columns' magnitudes that the gradient flows through."""
        products = self._products(term, name, read, first, count)
        assert products is not None
        return torch.where(estimator.selected(products.detach(), norm), products.abs(), 0.0).sum(0)
