"""Is a specification true over the set around one sample? Half-spaces that bounds leave open, one program each."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy
import torch
from torch import Tensor

from autodual.exact.branch_and_bound import Found, Goal
from autodual.exact.least_value import LargestOf, Placed, least_over
from autodual.exact.linear_program import Array, flat_array, rounded
from autodual.exact.network_program import ExactNetwork
from autodual.exact.time_allowed import Clock
from autodual.network import Ask
from autodual.perturbations import Support
from autodual.specs import Specification

#: Half-spaces of which one has to hold.
Clause = tuple[int, ...]

_POSITIVE = Goal(above=0.0)


@dataclass(frozen=True, eq=False)
class Decision:
    """What programs say of one sample.

    values: bounds of the half-spaces `[S]`, float64, less what they need, raised where a program proved more. margin:
    the one number made of them that is positive only if the specification is proved. point: where the network was run
    and violates it, `[1, *shape]`, or None. programs: how many linear programs were solved. finished: whether the time
    sufficed.
    """

    values: Tensor
    margin: float
    point: Tensor | None
    programs: int
    seconds: float
    finished: bool

    @property
    def proved(self) -> bool:
        """Whether the specification holds over the whole set."""
        return 0 < self.margin < numpy.inf


def decide(
    exact: ExactNetwork,
    region: Support,
    spec: Specification,
    lower: Tensor,
    needed: Tensor,
    ask: Ask,
    clock: Clock,
    violates: Callable[[Tensor], bool],
) -> Decision:
    """Prove a specification of one sample, refute it, or run out of time.

    region: the set around the sample. lower: bounds of its half-spaces that are proved already, `[S]`. needed: what
    each must exceed to count, `[S]`: 0, or how far a run may be off. ask: how units are bounded. violates: whether the
    network, run at a point `[1, *shape]` of float64, violates the specification.
    """
    start = time.monotonic()
    table = _half_spaces(exact, region, spec, needed)
    work = _Deciding(spec, table, exact.over_members(region, ask), exact, clock, violates)
    known = flat_array(lower) - flat_array(needed)
    known -= rounded(flat_array(needed))
    fixed = ~table.matrix.any(1)
    known[fixed] = numpy.maximum(known, -table.offset - table.slack)[fixed]
    return work.decision(known, start)


def _half_spaces(exact: ExactNetwork, region: Support, spec: Specification, needed: Tensor) -> LargestOf:
    """All half-spaces of one sample as functions that have to be positive."""
    with torch.no_grad():
        rows = spec.rows(exact.dual.outputs(region.centre.double()))
    matrix = rows.objective if rows.objective.dim() == 2 else rows.objective[0]
    error = torch.zeros_like(rows.offset) if rows.offset_error is None else rows.offset_error
    offset, slack = (flat_array(part if part.dim() == 1 else part[0]) for part in (rows.offset, error))
    beyond = flat_array(needed)
    room = numpy.where(beyond == 0, 0.0, rounded(offset, beyond))
    return LargestOf(matrix.detach().double().cpu().numpy(), offset + beyond, slack + room)


@dataclass(eq=False)
class _Deciding:
    """The work on one sample."""

    spec: Specification
    table: LargestOf
    places: Sequence[Placed]
    exact: ExactNetwork
    clock: Clock
    violates: Callable[[Tensor], bool]

    def decision(self, values: Array, start: float) -> Decision:
        """Work through the clauses that the bounds `values` leave open, the least likely ones first."""
        clauses = self.spec.disjunctions or [(row,) for row in range(len(values)) if self.table.matrix[row].any()]
        best: dict[Clause, float] = {tuple(clause): float(values[list(clause)].max()) for clause in clauses}
        waiting = sorted((clause for clause in best if not best[clause] > 0), key=best.__getitem__)
        found: Found | None = None
        programs, finished = 0, True
        while waiting and finished and self._margin(best, values, waiting) > 0:
            clause = waiting.pop(0)
            found = self._least(clause)
            best[clause] = max(best[clause], found.lower)
            programs, finished = programs + found.parts, found.finished
            if found.ended:
                break
        if not self.spec.disjunctions:
            for (row,), bound in best.items():
                values[row] = bound
        margin, seconds = self._margin(best, values, ()), time.monotonic() - start
        point = found.point if found is not None and found.ended else None
        return Decision(torch.from_numpy(values), margin, point, programs, seconds, finished)

    def _least(self, clause: Clause) -> Found:
        """The least value of the largest of a clause's half-spaces, unless it is shown to be positive or refuted."""
        function = self.table.rows(list(clause))

        def ends(point: Tensor, value: float) -> bool:
            return value < 0 and self.violates(point)

        return least_over(self.exact, self.places, function, _POSITIVE, self.clock, ends)

    def _margin(self, best: dict[Clause, float], values: Array, hoped: Collection[Clause]) -> float:
        """The specification's margin, if the clauses hoped for were true."""
        bounds = {clause: max(1.0, bound) if clause in hoped else bound for clause, bound in best.items()}
        if self.spec.disjunctions:
            return min(bounds.values())
        here = values.copy()
        for (row,), bound in bounds.items():
            here[row] = bound
        return float(self.spec.margin(torch.from_numpy(here).unsqueeze(0)))
