"""One call of a dual network: what was asked, and the bounds of any slice of its samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, get_args

import torch
from torch import Tensor

from autodual.bounds import BoundOptions, BoundState, Ledger, Projections, execution, objective_bounds, prepare
from autodual.bounds.rounding.plain_arithmetic import plain_arithmetic
from autodual.errors import InvalidInputError
from autodual.estimators import Stream
from autodual.inputs import number_tensor
from autodual.interval import Interval
from autodual.ir.expressions import Environment
from autodual.ir.graph import Graph
from autodual.network.result import DualResult, result_of
from autodual.objective import DenseObjective, Objective
from autodual.passes.plan import Plan
from autodual.perturbations import Region
from autodual.policies import InnerBounds, LastBound, Projection, SlopePolicy
from autodual.tensors import all_finite


@dataclass(frozen=True, eq=False)
class Given:
    """All tensors that a call's bounds depend on: the model's, by name, and those of the set and of what is asked."""

    tensors: Mapping[str, Tensor]
    region: Region
    known: Mapping[str, Interval]
    objective: Objective | None


@dataclass(frozen=True, eq=False)
class Executed:
    """A network as it is run: its graph before any pass, and the dtype of its numbers."""

    graph: Graph
    dtype: torch.dtype


@dataclass(frozen=True, eq=False)
class Call:
    """The part of a call that holds no tensors.

    stream: the random numbers of estimates, if any are to be made. linear, sites: return linear functions, or the bound
    sites' intervals, beside the objective's bounds. executed: the network whose run to analyse too.
    """

    plan: Plan
    options: BoundOptions
    dtype: torch.dtype
    device: torch.device
    stream: Stream | None
    linear: bool
    sites: bool = False
    executed: Executed | None = None

    def bound(self, part: slice, given: Given, ledger: Ledger) -> DualResult:
        """Bounds of some of the samples, whose gradients' memory goes to the ledger."""
        with plain_arithmetic(self.device, self.options.rigorous):
            return self._bound(part, given, ledger)

    def _bound(self, part: slice, given: Given, ledger: Ledger) -> DualResult:
        graph, objective = self.plan.graph, given.objective
        state = BoundState(
            graph,
            self.plan.rules,
            self.plan.bound_sites,
            Environment(given.tensors.__getitem__, self.dtype, self.device),
            {graph.inputs[0]: given.region.select(part)},
            self.options,
            {name: _selected(interval, part, given.region) for name, interval in given.known.items()},
            ledger=ledger,
        )
        projection = self.options.projection
        if projection is not None and self.stream is not None:
            count = 0 if objective is None else objective.count
            state.memories.keep(Projections(state, projection, self.stream, count))
        found = None
        if objective is None:
            prepare(state, self.plan.relaxed)
        else:
            prepare(state, graph.outputs)
            found = objective_bounds(state, graph.outputs[0], objective.part(part), linear=self.linear)
        sites = self.plan.sites if objective is None or self.sites else ()
        run = None if self.executed is None else execution(state, self.executed.graph, self.executed.dtype)
        result = result_of(found, {name: state.intervals[name] for name in sites}, state, run)
        # The two know each other: apart, they are forgotten at once, and not when garbage is next collected.
        state.memories.drop(Projections)
        return result


def call_options(
    options: BoundOptions,
    *,
    slopes: SlopePolicy | None,
    inner: InnerBounds | None,
    last: LastBound | None,
    rigorous: bool,
    all_units: bool,
    exact: bool,
) -> BoundOptions:
    """The plan's options with what a call says otherwise, checked."""
    options = replace(options, rigorous=rigorous)
    if slopes is not None:
        if slopes not in get_args(SlopePolicy):
            raise InvalidInputError(f"slopes must be 'shared', 'adaptive' or 'optimized', not {slopes!r}")
        options = replace(options, slopes=slopes)
    if inner is not None:
        if inner not in ("dual", "interval"):
            raise InvalidInputError(f"inner must be 'dual' or 'interval', not {inner!r}")
        options = replace(options, inner=inner)
    if last is not None:
        if last not in ("dual", "interval"):
            raise InvalidInputError(f"last must be 'dual' or 'interval', not {last!r}")
        options = replace(options, last=last)
    if all_units:
        options = replace(options, skip_decided=False)
    return replace(options, projection=_usable(options, exact=exact))


def _usable(options: BoundOptions, *, exact: bool) -> Projection | None:
    """The projection that a call is to use; none where all that it would estimate is left to intervals."""
    projection = options.projection
    if projection is None or exact or (options.rigorous and not projection.certifies):
        return None
    estimated = {"inner": options.inner == "dual", "last": options.last == "dual"}
    if not (any(estimated.values()) if projection.where == "both" else estimated[projection.where]):
        return None
    if options.slopes != "shared":
        raise InvalidInputError(
            f"random projections need linear layers, which {options.slopes} slopes are not; use slopes='shared'"
        )
    return projection


def checked_objective(objective: Any, x: Tensor, shape: tuple[int, ...]) -> Objective:
    """Linear functions of outputs `[N, *shape]` in x's dtype and on its device.

    Raises InvalidInputError unless they are an `Objective`, or finite coefficients `[S, *shape]` or `[N, S, *shape]`
    as a tensor, an array or lists, whose last axes may be flattened.
    """
    size = torch.Size(shape).numel()
    if isinstance(objective, Objective):
        assert objective.terms == size, "an objective is made for the network's own outputs"
        return objective.to(x)
    rows = number_tensor(objective, "objective")
    flattened = _flattened_rows(rows, shape, x.shape[0])
    if flattened is None:
        whole = "" if len(shape) == 1 else f", or the same with {list(shape)} in place of {size}"
        raise InvalidInputError(
            f"objective has the shape {tuple(rows.shape)}; expected [S, {size}] or [{x.shape[0]}, S, {size}]{whole}"
        )
    if flattened.shape[-2] == 0:
        raise InvalidInputError("objective has no rows, so there is nothing to bound")
    if not all_finite(flattened):
        raise InvalidInputError("objective holds NaN or infinity")
    return DenseObjective(flattened).to(x)


def _flattened_rows(rows: Tensor, shape: tuple[int, ...], samples: int) -> Tensor | None:
    """Rows `[S, K]` or `[N or 1, S, K]` of coefficients with the outputs' axes or one; None where they do not fit."""
    size = torch.Size(shape).numel()
    for ending in ((size,), shape):
        lead = rows.dim() - len(ending)
        if tuple(rows.shape[max(lead, 0) :]) != ending:
            continue
        if lead == 1 or (lead == 2 and rows.shape[0] in (1, samples)):
            return rows.reshape(*rows.shape[:lead], size)
    return None


def _selected(interval: Interval, part: slice, region: Region) -> Interval:
    return interval if interval.lower.shape[0] != region.count else interval.map(lambda end: end[part])
