"""The search for counterexamples: random points and corners, then gradient attacks on each conjunction by itself."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from autodual.attacks import Attack
from autodual.certification.verdicts.clock import Clock, batches
from autodual.certification.verdicts.counterexample_confirmation import Counterexample, Judge
from autodual.certification.verdicts.open_cases import Problem
from autodual.certification.verdicts.order_of_outputs import deciding_node
from autodual.network import Ask, DualNetwork
from autodual.tensors import flat

# How many of a batch's best points are confirmed: confirmation runs the network on one point at a time.
_REPLAYED = 8
# Points of slightly positive margin (relative to the outputs) are confirmed, too, since another run rounds otherwise.
_DOUBT = 1e-5
# Above so many conjunctions, the first attack is on all of them at once.
_APART = 10
# How many rows' least points are tried at a time.
_ROWS = 64


@dataclass(frozen=True, eq=False)
class Hunter:
    """Looks for counterexamples of open cases, with the dual network's own graph in float32."""

    dual: DualNetwork
    judge: Judge
    clock: Clock
    generator: torch.Generator

    def sample(self, problem: Problem, count: int) -> Counterexample | None:
        """Each case's centre, `count` random points and as many random corners of its box."""
        for index in batches(len(problem.cases), self.clock):
            part = problem.select(list(index))
            region = part.attack_region()
            points = [region.project(region.centre).unsqueeze(0)]
            for draw in (region.sample, region.corners):
                points.extend(draw(1, self.generator) for _ in range(count))
            for one in points:
                found = self.examine(part, one[0])
                if found is not None or self.clock.over:
                    return found
        return None

    def attack(self, problem: Problem, attack: Attack) -> Counterexample | None:
        """The attack on each open conjunction by itself, or on all at once if there are many.

        The margin over several conjunctions follows only the nearest one, so a joint attack can miss the rest.
        """
        for index in batches(len(problem.cases), self.clock):
            chosen = problem.select(list(index))
            several = chosen.spec.member.shape[1]
            for part in [chosen] if several > _APART else map(chosen.nth, range(several)):
                points = attack.run(self.searched, part.attack_region(), part.spec, self.generator)
                found = self.examine(part, points)
                if found is not None or self.clock.over:
                    return found
        return None

    def guided(self, problem: Problem, ask: Ask, attack: Attack) -> Counterexample | None:
        """Points where the rows' linear lower functions are least, and the attack from there.

        Bounds see the whole box, so these points lie far beyond the local minima that gradients end in.
        """
        for index in batches(len(problem.cases), self.clock):
            part = problem.select(list(index))
            region = part.attack_region()
            with torch.no_grad():
                matrix = part.spec.matrix
                bounds = self.dual(region.centre, region.source, matrix, ask=ask, linear=True, exact=True).objective
            assert bounds is not None and bounds.linear is not None
            (coefficients,) = bounds.linear.coefficients.values()
            for rows in coefficients.split(_ROWS, dim=1):
                ends = (end.unsqueeze(1) for end in (part.least, part.greatest, region.centre))
                points = _least_points(rows, *ends)
                many = part.select([place for place in range(len(index)) for _ in range(rows.shape[1])])
                found = self.descend(many, self.inside(many, points.flatten(0, 1)), attack)
                if found is not None or self.clock.over:
                    return found
        return None

    def swarm(self, problem: Problem, count: int, attack: Attack) -> Counterexample | None:
        """The attack from `count` random points of each case at once, on every open conjunction by itself."""
        for place in range(len(problem.cases)):
            for number in range(len(problem.conjunctions[place])):
                many = problem.select([place] * count).nth(number)
                share = torch.rand(many.least.shape, generator=self.generator, device=many.least.device)
                points = self.inside(many, many.least + share * (many.greatest - many.least))
                found = self.descend(many, points, attack)
                if found is not None or self.clock.over:
                    return found
        return None

    def descend(self, problem: Problem, points: Tensor, attack: Attack) -> Counterexample | None:
        """One point `[N, *shape]` for each case, and where the attack from there ends."""
        found = self.examine(problem, points)
        if found is not None or self.clock.over:
            return found
        region = problem.attack_region(points)
        return self.examine(problem, attack.run(self.searched, region, problem.spec, self.generator))

    def inside(self, problem: Problem, points: Tensor) -> Tensor:
        """Points `[N, *shape]` of the cases' boxes moved to the nearest float32 points of their sets."""
        clamped = points.float().clamp(problem.least, problem.greatest)
        return clamped if problem.constraints is None else problem.attack_region(clamped).project(clamped)

    @cached_property
    def _deciding(self) -> str:
        return deciding_node(self.dual.plan.graph, self.judge.goal)

    def outputs(self, points: Tensor) -> Tensor:
        """The network at points `[N, *shape]`, as `[N, K]`."""
        return flat(self.dual.outputs(points))

    def searched(self, points: Tensor) -> Tensor:
        """As `outputs`, for attacks: what decides the property in the same way, with gradients wherever possible."""
        return flat(self.dual.outputs(points, surrogates=True, node=self._deciding))

    def examine(self, problem: Problem, points: Tensor) -> Counterexample | None:
        """The first counterexample among one point `[N, *shape]` for each case, the most promising ones first."""
        with torch.no_grad():
            outputs = self.outputs(points.float()).double()
            margin = problem.spec.margins(problem.spec.rows(outputs).values(outputs)).min(1).values
            scale = 1 + outputs.abs().amax(1)
            order = (margin / scale).nan_to_num(torch.inf, torch.inf, -torch.inf).argsort()[:_REPLAYED]
        for place in order.tolist():
            if not margin[place] <= _DOUBT * scale[place]:
                return None
            found = self.judge.confirm(points[place], problem.cases[place])
            if found is not None:
                return found
        return None


def _least_points(slope: Tensor, lower: Tensor, upper: Tensor, middle: Tensor) -> Tensor:
    """Where linear functions are least in a box; the middle where they do not depend on an input."""
    return torch.where(slope > 0, lower, torch.where(slope < 0, upper, middle))
