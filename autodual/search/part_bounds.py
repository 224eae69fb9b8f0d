"""Bounds of parts: intervals computed again where that pays, a few steps uphill, and the rigorous bound that counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor

from autodual.bounds import BoundOptions, BoundState, Subproblems, Wish, objective_bounds, prepare
from autodual.bounds.rounding.plain_arithmetic import plain_arithmetic
from autodual.bounds.rows.pull import concretise, linear_bound
from autodual.dual.relaxation_rule import RelaxationRule
from autodual.interval import Interval
from autodual.ir.expressions import Environment
from autodual.network import Ask, DualNetwork
from autodual.network.call_options import call_options
from autodual.network.rounded import rounded_outwards
from autodual.objective import DenseObjective
from autodual.perturbations import Support
from autodual.search.claims import Claims
from autodual.search.combinations import Combined, Functions, best_single, certain_functions, combined
from autodual.search.part_batch import Parts
from autodual.search.row_lines import Pulled, pulled
from autodual.search.unit_gains import UnitGains, site_gains
from autodual.tensors import flat

_ASK = Ask(slopes="adaptive", inner="dual", last="dual", rigorous=True, exact=True)

#: With more varying inputs than these, halving one of them gains too little.
MOST_INPUTS = 64
#: Steps uphill of parts that begin with their parents' lines: more gain less than they cost.
WARM_STEPS = 4
#: A step uphill costs as many pulls of a row.
STEP_COST = 3
# Multiplications of a batch: about half a second's on one core.
_WORK = 2e9
# How far above a claim's offset a search for its lines stops, so that rounding leaves it above; relative to that.
_ROOM = 1e-3
# Copies of every scalar that a batch holds at once, its share of the memory budget, and its largest size.
_SCALARS_KEPT, _SHARE, _LARGEST = 40, 4, 1024


@dataclass(frozen=True, eq=False)
class Bounded:
    """What bounds say of M parts.

    parts: as they were, with their new bounds, intervals, slopes and multipliers. A part without any point has the
    bound infinity. error `[M]`: the rounding that bounds allow for.
    best: the best combination of half-spaces. functions: of all half-spaces, over boxes only.
    rows: the combination's rows at relaxed nodes, `[M, *shape]`. state: what they were pulled through.
    """

    parts: Parts
    error: Tensor
    best: Combined
    functions: Functions | None
    rows: Mapping[str, Tensor]
    state: BoundState

    @cached_property
    def gains(self) -> dict[str, UnitGains]:
        """What splitting units gains, by site."""
        return dict(site_gains(self.state, self.rows))


@dataclass(frozen=True, eq=False)
class PartBounds:
    """Bounds parts of one search.

    Args:
        dual: the network.
        regions: the set around each of N samples, by the dtypes of bounds that may be asked for.
        claims: what is to be proved.
    """

    dual: DualNetwork
    regions: Mapping[torch.dtype, Support]
    claims: Claims
    environments: dict[torch.dtype, Environment] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for dtype, region in self.regions.items():
            self.environments[dtype] = self.dual.environment(self.dual.compiled(region.centre), region.centre)

    @property
    def first(self) -> Support:
        """The set in the dtype that is tried first."""
        return next(iter(self.regions.values()))

    @property
    def plan(self):
        """The network's plan for these samples."""
        return self.dual.compiled(self.first.centre).plan

    @property
    def varying(self) -> int:
        """How many features of the input vary, in the sample where most do."""
        box = self._last.enclosure()
        return int(flat(box.lower < box.upper).sum(1).max())

    @cached_property
    def _beyond(self) -> Tensor:
        """How far samples' sets may reach beyond the boxes of the roots, `[N, D]`."""
        return flat(self._last.rounding()).double()

    @property
    def _last(self) -> Support:
        """The set in the most precise dtype."""
        return list(self.regions.values())[-1]

    @property
    def boxes(self) -> bool:
        """Whether parts have boxes of inputs: the set's own parts, or what cuts parts off where few inputs vary."""
        return self.first.independent or self.varying <= MOST_INPUTS

    @property
    def refreshes(self) -> bool:
        """Whether intervals of parts are worth computing again: halves of few inputs tighten them all."""
        return 0 < self.varying <= MOST_INPUTS

    def batch(self, bounded: Bounded) -> int:
        """How many parts to bound at once, from what those cost that are bounded: their arithmetic and their memory."""
        state, rows = bounded.state, self.claims.rows
        each = sum(layer.multiplications for layer in state.layers.values()) or 1
        work: float = each * rows * (1 + STEP_COST * WARM_STEPS)
        if self.refreshes:
            work += 2 * each * sum(int(gains.undecided.sum()) for gains in bounded.gains.values()) / bounded.parts.count
        scalars = sum(node.size for node in self.plan.graph)
        memory = scalars * rows * _SCALARS_KEPT * state.itemsize
        return int(max(1, min(_WORK // max(work, 1), self.options.room // _SHARE // memory, _LARGEST)))

    @cached_property
    def relaxed(self) -> frozenset[str]:
        """The nonlinear nodes with lines."""
        plan = self.plan
        return frozenset(name for name in plan.relaxed if isinstance(plan.rules[name], RelaxationRule))

    @property
    def options(self) -> BoundOptions:
        """How bounds are computed."""
        return call_options(self.plan.options, replace(_ASK, balls=self.first.is_round()))

    def roots(self) -> Parts:
        """The claims' whole sets, one part each, of which nothing is known yet."""
        plan, claims, like = self.plan, self.claims, self.first.centre
        everything = torch.arange(claims.count, device=like.device)

        def empty(name: str, *lead: int) -> Tensor:
            return like.new_zeros(claims.count, *lead, *plan.graph[name].shape)

        sites = [site.name for site in plan.bound_sites if site.name not in plan.graph.inputs]
        relaxed = [name for name in plan.relaxed if name in self.relaxed]
        intervals = {name: Interval(empty(name) - torch.inf, empty(name) + torch.inf) for name in sites}
        if self.boxes:
            box = self._last.enclosure()
            (source,) = plan.graph.inputs
            intervals[source] = box.map(lambda end: end.double()[claims.sample])
        return Parts(
            claim=everything,
            bound=torch.full((claims.count,), -torch.inf, dtype=torch.float64, device=like.device),
            depth=torch.zeros_like(everything),
            stale=torch.ones_like(everything, dtype=torch.bool),
            intervals=intervals,
            sign={name: empty(name).to(torch.int8) for name in sites},
            point={name: empty(name) for name in sites},
            multiplier={name: empty(name, claims.rows) for name in sites},
            slopes={name: empty(name, claims.rows) - 1 for name in relaxed},
            choices={},
        )

    def prepared(self, parts: Parts, dtype: torch.dtype, options: BoundOptions) -> BoundState:
        """The state with the intervals of parts computed again."""
        state = self._state(parts, dtype, refresh=True)
        state.options = options
        with plain_arithmetic(self.first.centre.device, rigorous=True):
            prepare(state, self.plan.graph.outputs)
        return state

    @torch.no_grad()
    def bound(
        self, parts: Parts, dtype: torch.dtype, *, refresh: bool, steps: int, weight: Tensor | None = None
    ) -> Bounded:
        """Rigorous bounds of parts.

        dtype: of the computation. refresh: compute intervals again, from those that are known on; then only parts with
        split units take steps. steps: uphill.
        weight: combinations of half-spaces `[M, R]` that may be the best.
        """
        with plain_arithmetic(self.first.centre.device, rigorous=True):
            state = self._state(parts, dtype, refresh=refresh)
            target = self.plan.graph.outputs[0]
            prepare(state, (target,))
            if refresh:  # lines that were chosen over wider intervals are worse than adaptive ones
                parts = replace(parts, slopes={name: torch.full_like(t, -1) for name, t in parts.slopes.items()})
            enough = self.claims.offset[parts.claim]
            enough = torch.where(self.claims.member[parts.claim], enough + _ROOM * (1 + enough.abs()), torch.inf)
            climbing = parts.has_splits if refresh else torch.ones_like(parts.stale)
            found = pulled(state, target, self._rows(parts, dtype), parts, enough.to(dtype), steps, climbing)
            return self._bounded(parts, state, found, refresh=refresh, weight=weight)

    def last_bound(self, parts: Parts, state: BoundState) -> Tensor:
        """The bounds `[M]`, float64, of whole sets by their best half-space alone, in all ways that `lower_bounds` has.

        state: in which intervals and layers of the sets were computed.
        """
        rows = flat(self._rows(parts, state.environment.dtype), 2)
        with plain_arithmetic(rows.device, rigorous=True):
            target, wish = self.plan.graph.outputs[0], Wish(parallel=self.plan.contains)
            found = objective_bounds(state, target, DenseObjective(rows), wish)
        return self._best_row(self.claims.select(parts.claim), found.lower.double()).value

    def _rows(self, parts: Parts, dtype: torch.dtype) -> Tensor:
        rows = self.claims.matrix[parts.claim].to(dtype)
        return rows.reshape(*rows.shape[:2], *self.plan.graph[self.plan.graph.outputs[0]].shape)

    def _state(self, parts: Parts, dtype: torch.dtype, *, refresh: bool) -> BoundState:
        region, plan = self.regions[dtype], self.plan
        (source,) = plan.graph.inputs
        intervals = {
            name: _stored(interval, region.centre, interval.shape) for name, interval in parts.intervals.items()
        }
        box = {source: intervals.pop(source)} if source in intervals else {}
        subproblems = Subproblems(self.claims.sample[parts.claim], box if refresh else {**box, **intervals})
        return BoundState(
            plan.graph,
            plan.rules,
            plan.bound_sites,
            self.environments[dtype],
            {source: region},
            self.options,
            intervals if refresh else {},
            subproblems,
        )

    def _bounded(
        self, parts: Parts, state: BoundState, found: Pulled, *, refresh: bool, weight: Tensor | None
    ) -> Bounded:
        claims, (source,) = self.claims.select(parts.claim), self.plan.graph.inputs
        enclosure, functions = concretise(state, found.progress), None
        error = torch.zeros_like(enclosure.lower) if enclosure.error is None else enclosure.error
        best = self._best_row(claims, enclosure.lower.double())
        if source in parts.intervals:
            linear = linear_bound(state, found.progress)
            lower, upper = (flat(end) for end in (parts.intervals[source].lower, parts.intervals[source].upper))
            below = Functions(flat(linear.coefficients[source], 2).double(), linear.offset.double())
            functions = certain_functions(below, claims, lower, upper, self._beyond[claims.sample])
            best = combined(functions, claims.member, lower, upper, weight).at_least(best)
        value = torch.where(state.infeasible, torch.inf, best.value.nan_to_num(-torch.inf, -torch.inf, -torch.inf))
        chosen = best.weight.to(error)
        seen = {name: rows.values for name, rows in found.passed.items() if name in self.relaxed}
        rows = {name: torch.einsum("mr,mr...->m...", chosen, row) for name, row in seen.items()}
        new = replace(
            parts,
            bound=torch.maximum(value, parts.bound),
            stale=parts.stale & (not refresh),
            intervals=self.intervals(parts, state) if refresh else parts.intervals,
            slopes=_taken(parts.slopes, found.slopes),
            multiplier=_taken(parts.multiplier, found.multipliers),
        )
        return Bounded(new, (chosen * error).sum(1).double(), replace(best, value=value), functions, rows, state)

    def intervals(self, parts: Parts, state: BoundState) -> dict[str, Interval]:
        """The intervals of all sites as they were computed."""
        fresh = {
            name: _stored(state.interval(name), interval.lower, interval.shape)
            for name, interval in parts.intervals.items()
            if name not in self.plan.graph.inputs
        }
        return {**parts.intervals, **fresh}

    def _best_row(self, claims: Claims, lower: Tensor) -> Combined:
        """The half-space with the largest bound, where functions of the input are not compared over boxes."""
        size = lower.abs() + claims.offset.abs()
        values = lower - claims.offset - claims.slack - 4 * torch.finfo(torch.float64).eps * size
        value, weight = best_single(values, claims.member)
        return Combined(weight, value)


def _stored(interval: Interval, like: Tensor, shape: torch.Size) -> Interval:
    """An interval in another tensor's dtype, rounded outwards, `shape`."""
    lower, upper = rounded_outwards(interval.lower, like, down=True), rounded_outwards(interval.upper, like, down=False)
    return Interval(lower.expand(shape), upper.expand(shape))


def _taken(before: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors found, in place of those before and like them."""
    return {name: found[name].to(old).expand(old.shape) if name in found else old for name, old in before.items()}
