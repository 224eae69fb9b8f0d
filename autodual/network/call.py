"""One call of a dual network: what was asked, and the bounds of any slice of its samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from torch import Tensor

from autodual.bounds import (
    BoundOptions,
    BoundState,
    Ledger,
    ObjectiveBounds,
    Projections,
    Record,
    Subproblems,
    Wish,
    execution,
    objective_bounds,
    prepare,
    record_of,
    sweep_again,
)
from autodual.bounds.rounding.plain_arithmetic import plain_arithmetic
from autodual.estimators import Stream
from autodual.ir.expressions import Environment
from autodual.ir.graph import Graph
from autodual.network.ask import Ask
from autodual.network.replays import Replays
from autodual.network.result import DualResult, result_of, tighter
from autodual.objective import Objective
from autodual.passes.plan import Plan
from autodual.perturbations import Support
from autodual.policies import SlopePolicy


@dataclass(frozen=True, eq=False)
class Question:
    """All tensors that a call's bounds depend on.

    tensors: the model's, by name. region: the set around each sample. ask: what the caller says of the bounds, with
    checked tensors. parts: the subproblems that the samples have. objective: the linear functions to bound, if any, of
    each subproblem.
    """

    tensors: Mapping[str, Tensor]
    region: Support
    ask: Ask
    parts: Subproblems
    objective: Objective | None

    @property
    def count(self) -> int:
        """B, how many subproblems there are."""
        return self.region.count if self.parts.owner is None else self.parts.owner.shape[0]

    def part(self, some: slice) -> Question:
        """The same of some of the subproblems; subproblems that name their samples share these."""
        if some == slice(0, self.count):
            return self
        return Question(
            self.tensors,
            self.region.select(some) if self.parts.owner is None else self.region,
            self.ask.select(some),
            self.parts.part(some, self.count),
            None if self.objective is None else self.objective.part(some),
        )


@dataclass(frozen=True, eq=False)
class Executed:
    """A network as it is run: its graph before any pass, and the dtypes of its numbers, the least precise one first."""

    graph: Graph
    dtypes: tuple[torch.dtype, ...]


@dataclass(frozen=True, eq=False)
class Call:
    """The part of a call that holds no tensors.

    stream: the random numbers of estimates, if any are to be made. executed: the network whose run to analyse too.
    replays: calls of the network that can be done again.
    """

    plan: Plan
    options: BoundOptions
    dtype: torch.dtype
    device: torch.device
    stream: Stream | None
    executed: Executed | None = None
    replays: Replays = field(default_factory=Replays)

    def bound(self, part: slice, question: Question, ledger: Ledger) -> DualResult:
        """Bounds of some of the subproblems, whose gradients' memory goes to the ledger."""
        with plain_arithmetic(self.device, self.options.rigorous):
            return self._best(question.part(part), ledger)

    def _best(self, question: Question, ledger: Ledger) -> DualResult:
        """Bounds that are never looser than with simpler slopes."""
        found, simpler = self._found(question, ledger), self._simpler_slopes(question)
        if simpler is None:
            return found
        other = replace(self, options=replace(self.options, slopes=simpler, sweeps=0), executed=None)
        return tighter(found, other._best(replace(question, ask=replace(question.ask, search=None)), ledger))

    def _simpler_slopes(self, question: Question) -> SlopePolicy | None:
        """Slopes whose bounds may be tighter for some rows, since intervals inside differ: lines over tighter intervals
        need not be better. Over given intervals the rows themselves are never looser, and a function or a record that
        is returned must prove the bound by itself.

        Of networks whose only relaxed ops are rectified linear units, shared slopes are the thesis' bounds, which are
        tighter in odd cases alone and take as long as the rest of the call.
        """
        options, ask, given = self.options, question.ask, question.parts.given
        alone = ask.linear or ask.record or options.inner != "dual"
        if alone or all(one.name in given for one in self.plan.bound_sites):
            return None
        if options.slopes == "optimized" and options.inner_steps > 0:
            return "adaptive"
        return "shared" if options.slopes != "shared" and self.plan.contains else None

    def _found(self, question: Question, ledger: Ledger) -> DualResult:
        work, ask, parts = partial(self._bound, question, ledger), question.ask, question.parts
        steady = self.stream is None and self.executed is None and self.options.slopes != "optimized"
        steady = steady and not self.plan.extended
        whole = not parts.partial and parts.owner is None and not parts.slopes.of
        more = ask.linear or ask.record or ask.search
        if not steady or self.device.type != "cpu" or not whole or more:
            return work()
        about = question.tensors, question.region, ask.said, question.objective
        return self.replays.result(work, (self.options, self.dtype), about)

    def _bound(self, question: Question, ledger: Ledger) -> DualResult:
        graph, objective, ask = self.plan.graph, question.objective, question.ask
        state = BoundState(
            graph,
            self.plan.rules,
            self.plan.bound_sites,
            Environment(question.tensors.__getitem__, self.dtype, self.device),
            {graph.inputs[0]: question.region},
            self.options,
            ask.known or {},
            question.parts,
            ledger=ledger,
        )
        projection = self.options.projection
        if projection is not None and self.stream is not None:
            count = 0 if objective is None else objective.count
            state.memories.keep(Projections(state, projection, self.stream, count))
        found = record = None
        if objective is None:
            prepare(state, self.plan.relaxed)
        else:
            target = ask.at or graph.outputs[0]
            # No rows are pulled past nonlinear nodes then, so that most intervals are needed for the next one alone.
            more = ask.sites or ask.known or ask.partial or ask.linear or ask.record or ask.search
            sparing = not (self.options.relaxes or more)
            prepare(state, (target, *(self.plan.relaxed if ask.sites else ())), sparing=sparing)
            for _ in range(self.options.sweeps):
                sweep_again(state, target)
            found = objective_bounds(state, target, objective, _wish(ask, self.plan.contains))
            record = _record(state, target, objective, found) if ask.record else None
        sites = self.plan.sites if objective is None or ask.sites else ()
        run = None if self.executed is None else execution(state, self.executed.graph, self.executed.dtypes)
        result = result_of(found, {name: state.interval(name) for name in sites}, state, run, record)
        # The two refer to each other; parted, their memory is free at once, without garbage collection.
        state.memories.drop(Projections)
        return result


def _wish(ask: Ask, others: bool) -> Wish:
    return Wish(bool(ask.linear), bool(ask.record), bool(ask.search), others)


def _record(state: BoundState, target: str, objective: Objective, found: ObjectiveBounds) -> Record:
    rows = objective.piece(None, 0, objective.count)
    return record_of(state, target, rows.reshape(*rows.shape[:2], *state.graph[target].shape), found)
