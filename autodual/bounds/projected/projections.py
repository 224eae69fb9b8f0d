"""Bounds whose norms are estimated from random projections: linear cost, and either no guarantee (medians, for
training) or one with a stated probability of failure.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from autodual.bounds.memory.row_cost import pull_footprint, starts_windowed
from autodual.bounds.projected.chosen_units import put_back
from autodual.bounds.projected.norm_estimates import Asked, Norms
from autodual.bounds.projected.sketch import Term
from autodual.bounds.projected.sketch_rounding import Profile
from autodual.bounds.state.bound_state import BoundState
from autodual.estimators import CauchyGeometricMean, CauchyMedian, Estimator, GaussianNorm, Stream
from autodual.interval import Interval
from autodual.policies import Projection
from autodual.tensors import flat

# No node's name: the purpose of the last bound's own columns.
_OBJECTIVE = "(objective)"


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

    lasting: ClassVar[bool] = False

    def __init__(
        self,
        state: BoundState,
        projection: Projection,
        stream: Stream,
        objectives: int,
        estimator: Callable[[int, Projection], Estimator] = estimator_for,
    ):
        self.state, self.projection, self.objectives = state, projection, objectives
        self._norms = Norms(state, stream, shared=not projection.certifies)
        self._middles: dict[str, Tensor] = {}
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
        """The samples `[N]` that get estimates at a site, given its wanted units `[N, *shape]`.

        Each sample is judged by its own units, so that no bound depends on the batch.
        """
        count = flat(wanted).sum(1)
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
        """How many norms of one sample may be estimated, for the union bound."""
        open_sites = [site.name for site in self.state.sites if not site.exact_over(self.state.regions)]
        units = sum(self.state.graph[name].size for name in open_sites) if self.projection.where != "last" else 0
        return (units + (self.objectives if self.objective else 0)) * len(self.terms)

    def used(self, samples: Tensor) -> None:
        """Note that some samples' bounds `[N]` depend on an estimate."""
        self.estimated = self.estimated | samples

    # --- estimates -----------------------------------------------------------------------------------------------

    def interval(self, name: str, wanted: Tensor) -> Interval:
        """Estimated bounds `[N, *shape]` of a node's wanted units; those of other units mean nothing."""
        error = None if self._profile is None else self._profile.error(name)
        of_units = None if error is None else error.expand_as(wanted)[wanted]
        width = self._width(Asked(name, error=of_units, wanted=wanted), name)
        found = Interval.around(self._middle(name), put_back(width, wanted))
        found = found if error is None else found.widen(error)
        return found.map(lambda end: end.expand_as(wanted))

    def lower(self, name: str, objective: Tensor) -> tuple[Tensor, Tensor | None]:
        """Estimated lower bounds `[N, S]` of linear functions `[N or 1, S, *shape]` of a node, and their rounding
        error.
        """
        coefficients = flat(objective, 2)
        error = None if self._profile is None else self._profile.error_of(name, coefficients)
        asked = Asked(name, coefficients, error)
        lower = asked.of(self._middle(name).unsqueeze(0))[0] - self._width(asked, _OBJECTIVE)
        lower = lower if error is None else lower - error
        shape = (self.state.samples, objective.shape[1])
        return lower.expand(shape), None if error is None else error.expand(shape)

    def _width(self, asked: Asked, purpose: str) -> Tensor:
        """Half the width of bounds: the sum of all terms, each raised so that it falls short rarely enough."""
        total = self._middle(asked.name).new_zeros(())
        for term in self.terms:
            if term.reaches(self.state, asked.name):
                norm = self._norms.estimate(term, asked, purpose)
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
