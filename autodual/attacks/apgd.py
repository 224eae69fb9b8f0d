"""Auto-PGD: projected gradient ascent that chooses its own step size."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from autodual.attacks.ascent import Ascent, check_counts
from autodual.attacks.gradient_attack import GradientAttack
from autodual.attacks.kept import Keep, check_keep
from autodual.attacks.objectives import Objective, objective_named
from autodual.attacks.sparse_ascent import AdaptiveSparse, SparseSteepest
from autodual.attacks.starts import Outward, Start, Uniform, start_named
from autodual.attacks.step_kinds import Natural
from autodual.attacks.step_sizes import Adaptive
from autodual.perturbations import Searchable, require_searchable

#: How far the radius is stretched at first in balls of finite order, in ascents that have steps to spare for it.
WIDE, ENOUGH_STEPS = (3.0, 2.0), 30


@dataclass(frozen=True)
class Apgd(GradientAttack):
    """PGD with momentum whose steps are halved where they stop helping (Croce and Hein, 2020).

    In balls of finite order, ascents of 30 steps or more begin in balls of three and two times the radius, with a
    uniform start at their edge, so that the function is evaluated there too, within the domain; `wide=False` keeps
    them in the ball itself. What is given back lies in the ball either way. In l1 balls steps are as sparse as the best
    point so far (Croce and Hein, 2021).

    `objective` is one of `OBJECTIVES`, by name; with a targeted one each of the `restarts` aims at the next class. Any
    specification can be attacked with "margin".
    """

    steps: int = 100
    restarts: int = 1
    objective: str | Objective = "cross-entropy"
    start: str | Start = "uniform"
    keep: Keep = "worst"
    seed: int = 0
    wide: bool = True

    def __post_init__(self) -> None:
        check_counts(self.steps, self.restarts)
        check_keep(self.keep)
        objective_named(self.objective)
        start_named(self.start)

    def ascent_in(self, region: Searchable) -> Ascent:
        order = require_searchable(region).norm_order
        if order is None or order == math.inf:
            return self.ascent
        found = self.ascent
        if self.wide and self.steps >= ENOUGH_STEPS:
            start = Outward() if isinstance(found.start, Uniform) else found.start
            found = replace(found, wide=WIDE, start=start)
        return replace(found, step=SparseSteepest(), size=AdaptiveSparse()) if order == 1 else found

    @property
    def ascent(self) -> Ascent:
        start, objective = start_named(self.start), objective_named(self.objective)
        return Ascent(start, objective, Natural(), Adaptive(), self.steps, self.restarts, self.keep, self.seed)
