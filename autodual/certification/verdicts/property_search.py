"""Branch and bound over a property's open conjunctions: each is a claim that no input of its case's box meets it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from autodual.attacks import Attack
from autodual.certification.leaf_programs import program_solver
from autodual.certification.verdicts.clock import Clock
from autodual.certification.verdicts.counterexample_confirmation import Counterexample
from autodual.certification.verdicts.counterexample_search import Hunter
from autodual.certification.verdicts.open_cases import Problem
from autodual.network import DualNetwork
from autodual.search import Claims, PartBounds, TreeSearch, suitable_actions

# Steps uphill of whole sets, and the share of the memory budget that waiting parts may take.
_STEPS, _SHARE = 12, 2


@dataclass(frozen=True, eq=False)
class PropertySearch:
    """A search for proofs of all open conjunctions of a problem; what it found can be read after an interruption, too.

    places: the case's place in the problem and the conjunction's place in the case, by claim.
    """

    problem: Problem
    places: tuple[tuple[int, int], ...]
    search: TreeSearch

    @classmethod
    def of(
        cls,
        dual: DualNetwork,
        problem: Problem,
        dtype: torch.dtype,
        hunter: Hunter,
        clock: Clock,
        attack: Attack | None,
    ) -> PropertySearch:
        """The search over a problem's boxes.

        dtype: of bounds at first. attack: starts now and then from where the bounds of parts are least.
        """
        places = tuple(
            (place, number) for place, numbers in enumerate(problem.conjunctions) for number in range(len(numbers))
        )
        claims = claims_of(problem, places)
        exact = bool((claims.matrix == claims.matrix.to(dtype)).all())
        dtypes = dict.fromkeys([dtype, torch.float64] if exact else [torch.float64])
        bounds = PartBounds(dual, {kind: problem.proof_region(kind) for kind in dtypes}, claims)

        def attempt(claim: Tensor, points: Tensor, thorough: bool) -> Counterexample | None:
            chosen = [places[number] for number in claim.tolist()]
            here = problem.select([place for place, _ in chosen])
            inside = hunter.inside(here, points)
            if thorough and attack is not None:
                return hunter.descend(here, inside, attack)
            return hunter.examine(here, inside)

        search = TreeSearch(
            bounds,
            suitable_actions(bounds),
            lambda: clock.over,
            memory=bounds.options.room // _SHARE,
            steps=_STEPS,
            attempt=attempt,
            solve=program_solver(clock),
        )
        return cls(problem, places, search)

    @property
    def refuted(self) -> Tensor:
        """Which conjunctions are false throughout their boxes, bool `[N, Q]`."""
        proved = torch.zeros(self.problem.spec.member.shape[:2], dtype=torch.bool)
        undecided = set(self.search.undecided)
        for number, (place, conjunction) in enumerate(self.places):
            proved[place, conjunction] = number not in undecided
        return proved


def claims_of(problem: Problem, places: tuple[tuple[int, int], ...]) -> Claims:
    """The claims that conjunctions hold nowhere in their cases' boxes, by their places (see `PropertySearch`)."""
    spec = problem.spec
    case, conjunction = (torch.tensor(column, device=spec.offset.device) for column in zip(*places))
    member = spec.member[case, conjunction]
    # A conjunction's own rows come first, so that those of others, which would be bounded for nothing, are left out.
    member, order = member.sort(dim=1, descending=True, stable=True)
    longest = max(1, int(member.sum(1).max()))
    place = (case.unsqueeze(1), order[:, :longest])
    # A conjunction that holds nowhere: at every point one of its rows is above its bound.
    return Claims(spec.matrix[place], spec.offset[place], spec.offset_error[place], member[:, :longest], case)
