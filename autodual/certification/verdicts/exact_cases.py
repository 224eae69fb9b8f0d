"""Cases of a property decided exactly, and the search for counterexamples of what was proved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from autodual.attacks import Attack
from autodual.certification.contradiction import ROUNDING_SHARE, network_record
from autodual.certification.verdicts.counterexample_confirmation import Counterexample, Judge
from autodual.certification.verdicts.counterexample_search import Hunter
from autodual.certification.verdicts.open_cases import Problem
from autodual.errors import ContradictionError
from autodual.exact.deciding import decide
from autodual.exact.network_program import ExactNetwork
from autodual.exact.time_allowed import Clock, checked_seconds
from autodual.network import Ask, DualNetwork
from autodual.properties import Property


@dataclass(frozen=True, eq=False)
class DecidedCase:
    """Whether one case is proved, its counterexample if there is one, and how many programs that took."""

    proved: bool
    found: Counterexample | None
    programs: int


@dataclass(frozen=True, eq=False)
class ExactCases:
    """Decides cases by programs, each for at most so many `seconds`."""

    exact: ExactNetwork
    judge: Judge
    clock: Clock
    seconds: float

    @classmethod
    def of(cls, dual: DualNetwork, judge: Judge, x: Tensor, clock: Clock, seconds: float | None) -> ExactCases | None:
        """None without a number of seconds; raises InvalidInputError where that is not positive or an op not exact."""
        if seconds is None:
            return None
        seconds = checked_seconds(seconds, "exact_seconds")
        return cls(ExactNetwork.of(dual, x), judge, clock, seconds)

    def decide(self, problem: Problem) -> DecidedCase:
        """The decision on a problem of a single case."""
        if not bool(problem.spec.member.any(-1).all()):
            return DecidedCase(False, None, 0)  # all inputs meet a conjunction without constraints of outputs
        (case,), confirmed = problem.cases, []

        def violates(point: Tensor) -> bool:
            found = self.judge.confirm(point, case)
            confirmed.extend([] if found is None else [found])
            return found is not None

        clock = Clock(min(self.seconds, self.clock.left))
        rows = problem.spec.offset.shape[1]
        nothing = torch.full((rows,), -torch.inf, dtype=torch.float64)
        ask, region = Ask(slopes="adaptive", inner="dual"), problem.proof_region(torch.float64)
        done = decide(self.exact, region, problem.spec, nothing, torch.zeros(rows), ask, clock, violates)
        return DecidedCase(done.proved, confirmed[0] if confirmed else None, done.programs)


def require_no_counterexample(
    hunter: Hunter, goal: Property, shape: Sequence[int], device: torch.device, attack: Attack, method: str
) -> None:
    """Attack all cases of a property that was proved.

    Raises ContradictionError where a counterexample violates it by more than rounding explains, in float64.
    """
    open_ = {number: tuple(range(len(case.conjunctions))) for number, case in enumerate(goal.cases)}
    if not open_:
        return
    problem = Problem.of(goal, open_, shape, device).inhabited
    found = hunter.attack(problem, attack) if problem.cases else None
    if found is None or not _violates(hunter.dual, goal, found, shape, device):
        return
    x = torch.from_numpy(found.inputs.reshape(1, *shape)).to(device)
    raise ContradictionError(
        f"the property is proved by {method}, but case {found.case} has a counterexample; one of the two is wrong, "
        "which is a bug: report it with its evidence",
        {
            "case": found.case,
            "point": found.inputs.tolist(),
            "outputs_at_point": found.outputs.tolist(),
            "method": method,
            "network": network_record(hunter.dual, x),
        },
    )


@torch.no_grad()
def _violates(
    dual: DualNetwork, goal: Property, found: Counterexample, shape: Sequence[int], device: torch.device
) -> bool:
    """Whether a run in float64 makes a conjunction of the case true by more than rounding explains."""
    x = torch.from_numpy(found.inputs.reshape(1, *shape)).to(device)
    outputs = dual.outputs(x).flatten().double().cpu().numpy()
    for part in goal.cases[found.case].conjunctions:
        room = ROUNDING_SHARE * (abs(part.matrix) @ abs(outputs) + abs(part.bound))
        if (part.matrix @ outputs < part.bound - room).all():
            return True
    return False
