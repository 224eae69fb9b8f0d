"""The search for counterexamples: random points and corners, then gradient attacks on each conjunction by itself."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from autodual.attacks import Attack
from autodual.certification.verify_clock import Clock, batches
from autodual.certification.verify_problem import Problem
from autodual.certification.verify_replay import Counterexample, Judge
from autodual.network import DualNetwork
from autodual.perturbations import Box, Region

# Suspects run again for each batch of points; the best ones, since a replay runs one point at a time.
_REPLAYED = 8
# A suspect's margin may be that much above zero, relative to the outputs: the replay's rounding is another.
_DOUBT = 1e-5


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
            region = _region(part)
            points = [region.project(region.centre).unsqueeze(0)]
            for draw in (region.sample, region.corners):
                points.extend(draw(1, self.generator) for _ in range(count))
            for one in points:
                found = self.examine(part, one[0])
                if found is not None or self.clock.over:
                    return found
        return None

    def attack(self, problem: Problem, attack: Attack) -> Counterexample | None:
        """The attack on every open conjunction by itself: a margin over several follows but the nearest one."""
        for index in batches(len(problem.cases), self.clock):
            chosen = problem.select(list(index))
            for number in range(chosen.spec.member.shape[1]):
                part = chosen.nth(number)
                points = attack.run(self.outputs, _region(part), part.spec, self.generator)
                found = self.examine(part, points)
                if found is not None or self.clock.over:
                    return found
        return None

    def inside(self, problem: Problem, points: Tensor) -> Tensor:
        """Points `[N, *shape]` of the cases' boxes moved to the nearest float32 points of these boxes."""
        return points.float().clamp(problem.least, problem.greatest)

    def outputs(self, points: Tensor) -> Tensor:
        """The network at points `[N, *shape]`, as `[N, K]`."""
        return self.dual.outputs(points).flatten(1)

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


def _region(problem: Problem) -> Region:
    """The float32 numbers of each case's box, around their middle."""
    return Box(problem.least, problem.greatest).at(problem.least + (problem.greatest - problem.least) / 2)
