"""The step of multi steepest descent: every member of a union proposes one, and the worst is taken."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from autodual.attacks.ascent_state import State
from autodual.attacks.members import lowest
from autodual.attacks.objectives import Objective, raised
from autodual.attacks.problem import Problem
from autodual.attacks.step_kinds import Natural, Step
from autodual.attacks.step_sizes import StepSize
from autodual.perturbations import Searchable


@dataclass(frozen=True)
class WorstMember(Step):
    """Of the steps in each member of a union, projected onto that member, the one of largest objective for each sample.

    An iterate lies in some member, so it never leaves the union, and may change from one member's geometry to
    another's at any step. Choosing costs a forward pass for each member, and nothing in a set that is no union.

    step: taken in each member.
    """

    step: Step = field(default_factory=Natural)

    def move(self, region: Searchable, gradient: Tensor, state: State) -> Tensor:
        return self.step.move(region, gradient, state)

    def advance(self, problem: Problem, objective: Objective, state: State, gradient: Tensor, size: StepSize) -> Tensor:
        found = []
        for member in problem.region.members:
            branch = state.branch()
            part = replace(problem, region=member)
            found.append(self.step.advance(part, objective, branch, gradient, size))
        state.memory = branch.memory
        if len(found) == 1:
            return found[0]
        losses = [raised(objective, problem, problem.outputs(points)) for points in found]
        return lowest(torch.stack(found), -torch.stack(losses))
