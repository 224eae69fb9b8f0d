"""The one loop behind every attack that follows gradients; its parts are chosen independently of one another."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from autodual.attacks.ascent_state import State
from autodual.attacks.base import Attack, Function
from autodual.attacks.evaluation_mode import unchanged
from autodual.attacks.growth import Growth
from autodual.attacks.kept import Keep, Kept, check_keep
from autodual.attacks.objectives import Margin, Objective, raised, rise
from autodual.attacks.problem import Problem
from autodual.attacks.seen import Seen
from autodual.attacks.starts import Scattered, Start, Zero
from autodual.attacks.step_kinds import Steepest, Step
from autodual.attacks.step_sizes import Fixed, StepSize
from autodual.errors import InvalidInputError
from autodual.perturbations import Searchable
from autodual.specs import Specification


@dataclass(frozen=True)
class Ascent(Attack):
    """Projected gradient ascent.

    Args:
        start: where each run begins; of one that is not random, restarts begin at the set's random points.
        objective: what is raised.
        step: which way.
        size: how far.
        steps: gradients a run.
        restarts: runs, the first of which counts.
        keep: which point is given back; see `Keep`.
        seed: of random numbers, where the caller has no generator.
        wide: up to three factors, of at least 1, by which a ball is enlarged at first, each for three tenths of the
            steps; the best point there is where the next goes on. It leads out of flat places around the sample
            (Croce and Hein, 2021).
        growth: of the radius, step by step, up to the set itself.

    For example `Ascent(Uniform(), CrossEntropy(), Sign(raw=True), Fixed(0.01), steps=40)`.
    """

    start: Start = field(default_factory=Zero)
    objective: Objective = field(default_factory=Margin)
    step: Step = field(default_factory=Steepest)
    size: StepSize = field(default_factory=lambda: Fixed(0.25))
    steps: int = 10
    restarts: int = 1
    keep: Keep = "worst"
    seed: int = 0
    wide: tuple[float, ...] = ()
    growth: Growth = field(default_factory=Growth)

    def __post_init__(self) -> None:
        check_counts(self.steps, self.restarts)
        check_keep(self.keep)
        if len(self.wide) > 3 or not all(1 <= factor < math.inf for factor in self.wide):
            raise InvalidInputError(f"wide must be up to three finite factors of at least 1, but is {self.wide}")

    def run(
        self,
        function: Function,
        region: Searchable,
        specification: Specification,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        problem, generator = Problem.of(function, region, specification), generator_of(region, self.seed, generator)
        inference, every = torch.is_inference_mode_enabled(), torch.arange(region.count, device=region.centre.device)
        # That mode has no gradients, even where they are enabled, nor have tensors that were made in it.
        with torch.inference_mode(False), torch.no_grad(), unchanged(function):
            return self._found(problem.select(every) if inference else problem, generator)

    def _found(self, problem: Problem, generator: torch.Generator) -> Tensor:
        """The points `[N, *shape]` that are kept."""
        region = problem.region
        centre = region.centre.detach()
        kept = Kept(self.keep, centre if self.keep == "last" else region.project(centre))
        for restart in range(self.restarts):
            start = self.start if restart == 0 or self.start.random else Scattered()
            start = start.turn(restart)
            first = region.enlarged(self.wide[0]) if self.wide else self.growth.at(region, 0, self.steps)
            state = State(start.points(first, generator), self.steps, generator)
            left = kept.resisting()
            some = problem if left is None else problem.select(left)
            if some.region.count:
                self._run(some, state.only(left), kept.only(left), self.objective.turn(restart))
        return kept.points

    def _run(self, problem: Problem, state: State, kept: Kept, objective: Objective) -> None:
        """One run, in larger balls first."""
        steps = state.steps
        for factor in self.wide:
            wide = problem.within(problem.region.enlarged(factor))
            state = State(wide.region.project(state.points), int(0.3 * self.steps), state.generator)
            best = Kept("loss", state.points)
            self._climb(wide, state, best, objective)
            steps -= state.steps
            state = State(best.points, steps, state.generator)
        state.points = problem.region.project(state.points) if self.wide else state.points
        self._climb(problem, state, kept, objective)

    def _climb(self, problem: Problem, state: State, kept: Kept, objective: Objective) -> None:
        """The steps in one set."""
        steps, seen = state.steps, Seen(problem, objective, kept)
        for state.iteration in range(steps):
            outputs, loss, gradient = evaluate(problem, objective, state.points)
            judged = seen.add(state.points, outputs, loss, sure=_sure(problem.region, state.iteration))
            left = kept.resisting() if judged else None
            if left is not None:
                kept, problem, state = kept.only(left), problem.select(left), state.only(left)
                loss, gradient, seen = loss[left], gradient[left], Seen(problem, objective, kept)
                if problem.region.count == 0:
                    return
            gradient = self.size.observe(state, loss, gradient)
            near = problem.within(self.growth.at(problem.region, state.iteration, steps))
            state.points = kept.settled(self.step.advance(near, objective, state, gradient, self.size))
        if kept.keep == "last":
            kept.points = state.points
        else:
            outputs = problem.outputs(state.points)
            seen.add(state.points, outputs, raised(objective, problem, outputs), sure=_sure(problem.region, steps))
            seen.judge()
        kept.returned()


def _sure(region: Searchable, iteration: int) -> bool:
    """Whether points certainly lie in the region: not where an ascent began, nor where none is projected."""
    return iteration > 0 and not region.projection_free


def evaluate(problem: Problem, objective: Objective, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The outputs `[N, K]`, the objective `[N]` and its gradient `[N, *shape]`; zero where there is none, never NaN."""
    outputs, run = problem.run(points)
    loss, slope = rise(objective, problem, outputs)
    return outputs, loss, run.gradient(slope).nan_to_num(0, 0, 0)


def check_counts(steps: int, restarts: int) -> None:
    """Raise InvalidInputError unless both are at least 1."""
    if steps < 1 or restarts < 1:
        raise InvalidInputError(f"an attack needs steps and restarts, but has {steps} and {restarts}")


def generator_of(region: Searchable, seed: int, generator: torch.Generator | None) -> torch.Generator:
    """The caller's generator, or one on the region's device that begins at the seed.

    Raises InvalidInputError for a seed that torch cannot take.
    """
    if generator is not None:
        return generator
    if type(seed) is not int or not -(2**63) <= seed < 2**64:
        raise InvalidInputError(f"an attack's seed must be a whole number of 64 bits, but is {str(seed)[:60]}")
    return torch.Generator(region.centre.device).manual_seed(seed)
