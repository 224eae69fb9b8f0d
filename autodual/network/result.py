"""What one call of a dual network proves, as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from autodual.bounds import (
    BoundState,
    Execution,
    LinearBound,
    ObjectiveBounds,
    Projections,
    Record,
    SearchResult,
    joined_records,
    joined_searches,
)
from autodual.errors import InvalidInputError
from autodual.interval import Interval


@dataclass(frozen=True, eq=False)
class DualResult:
    """What one call proves: lower bounds `[N, S]` of the objectives, and by node name intervals of the bound sites.

    failure_probability `[N]`, float64: the probability that a sample's bounds are wrong, over the random numbers that
    they were estimated with: 0 if nothing was estimated, 1 if the estimates are medians, which prove nothing.
    estimates: how many norms of a sample were estimated; inflation: the factor that each was multiplied by.
    execution: how far a run of the network may be from the network that is bounded, if `executed` asked for it.
    infeasible `[N]`, bool: whether what was given of a subproblem leaves it no point. That proves everything of it and
    nothing else, so its bounds are NaN.
    record: what proves the bounds, if that was asked for.
    """

    objective: ObjectiveBounds | None
    intervals: Mapping[str, Interval]
    failure_probability: Tensor
    estimates: int = 0
    inflation: float = 1.0
    execution: Execution | None = None
    infeasible: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.bool))
    record: Record | None = None

    @property
    def lower(self) -> Tensor:
        if self.objective is None:
            raise InvalidInputError("no objective was asked for, so there are no bounds of one; give objective=")
        return self.objective.lower

    @property
    def search(self) -> SearchResult:
        """Slopes and multipliers of the objective's rows, and what splits would gain."""
        if self.objective is None or self.objective.search is None:
            raise InvalidInputError("this call was not asked for what a search has found; give search=True")
        return self.objective.search


def result_of(
    objective: ObjectiveBounds | None,
    intervals: Mapping[str, Interval],
    state: BoundState,
    run: Execution | None = None,
    record: Record | None = None,
) -> DualResult:
    """The result of a finished computation."""
    projections, infeasible = state.memories.get(Projections), state.infeasible
    if projections is None:
        never = torch.zeros(state.samples, dtype=torch.float64, device=infeasible.device)
        found = objective if objective is None or not state.emptied else _without(objective, infeasible)
        return DualResult(found, intervals, never, execution=run, infeasible=infeasible, record=record)
    delta = projections.projection.delta
    failure = projections.estimated.double() * (1.0 if delta is None else delta)
    return DualResult(objective, intervals, failure, projections.count, projections.inflation, run, infeasible)


def _without(objective: ObjectiveBounds, infeasible: Tensor) -> ObjectiveBounds:
    """Bounds, and the functions that prove them, with NaN where a subproblem has no point."""
    rows, linear = infeasible.unsqueeze(1), objective.linear
    if linear is not None:
        linear = replace(linear, offset=linear.offset.masked_fill(rows, torch.nan))
    return replace(objective, lower=objective.lower.masked_fill(rows, torch.nan), linear=linear)


def tighter(found: DualResult, start: DualResult) -> DualResult:
    """The first result with the bounds of the second where these are tighter; both are of the same question."""
    intervals = {name: interval.tightened(start.intervals[name]) for name, interval in found.intervals.items()}
    infeasible = found.infeasible | start.infeasible
    objective = found.objective
    if objective is not None and start.objective is not None:
        better = ~(objective.lower >= start.lower) & ~start.lower.isnan()
        error, other = objective.error, start.objective.error
        error = error if error is None or other is None else torch.where(better, other, error)
        lower = torch.where(better, start.lower, objective.lower)
        objective = _without(replace(objective, lower=lower, error=error), infeasible)
    return replace(found, objective=objective, intervals=intervals, infeasible=infeasible)


def joined(parts: Sequence[DualResult]) -> DualResult:
    """Results for slices of the samples as one, in order."""
    first = parts[0]
    intervals = {
        name: Interval(
            torch.cat([part.intervals[name].lower for part in parts]),
            torch.cat([part.intervals[name].upper for part in parts]),
        )
        for name in first.intervals
    }
    objective = (
        None if first.objective is None else _joined_objectives([part.objective for part in parts if part.objective])
    )
    failure = torch.cat([part.failure_probability for part in parts]).detach()
    runs = [part.execution for part in parts if part.execution is not None]
    run = joined_executions(runs) if runs else None
    infeasible = torch.cat([part.infeasible for part in parts])
    records = [part.record for part in parts if part.record is not None]
    record = joined_records(records) if records else None
    return type(first)(objective, intervals, failure, first.estimates, first.inflation, run, infeasible, record)


def joined_executions(parts: Sequence[Execution]) -> Execution:
    """The executions of slices of the samples as one, in order."""
    errors = [part.error for part in parts if part.error is not None]
    reason = next((part.reason for part in parts if part.reason), "")
    return replace(parts[0], error=torch.cat(errors) if errors else None, reason=reason)


def _joined_objectives(parts: list[ObjectiveBounds]) -> ObjectiveBounds:
    lower = torch.cat([part.lower for part in parts])
    errors = [part.error for part in parts if part.error is not None]
    linear = [part.linear for part in parts if part.linear is not None]
    searches = [part.search for part in parts if part.search is not None]
    return ObjectiveBounds(
        lower,
        torch.cat(errors) if errors else None,
        _joined_linear(linear) if linear else None,
        search=joined_searches(searches, torch.cat) if searches else None,
    )


def _joined_linear(parts: list[LinearBound]) -> LinearBound:
    coefficients = {name: torch.cat([part.coefficients[name] for part in parts]) for name in parts[0].coefficients}
    return LinearBound(coefficients, torch.cat([part.offset for part in parts]))
