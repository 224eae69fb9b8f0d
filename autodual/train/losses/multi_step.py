"""Adversarial training on attacks of several steps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from autodual.attacks import Ascent, Attack, Customary, Fixed, Harmonic, Msd, Pgd, Sign, Step, StepSize, ToWorst
from autodual.attacks.growth import Growth
from autodual.attacks.kept import Keep
from autodual.attacks.objectives import objective_named
from autodual.attacks.projected_sinkhorn import Entropic
from autodual.attacks.starts import start_named
from autodual.number_ranges import Range
from autodual.train.limits import NonNegative
from autodual.train.losses.attacked_loss import AttackedLoss, ObjectiveName, StartName
from autodual.train.losses.batch import Batch

Steps = Annotated[int, Range(1, 10_000)]
Factor = Annotated[float, Range(1, 1e3)]
StepName = Literal["customary", "sign", "frank-wolfe", "sinkhorn"]


@dataclass(frozen=True)
class PgdLoss(AttackedLoss):
    """The loss where projected gradient ascent ends (Madry et al., 2018; thesis, Algorithm 5).

    steps: gradients of each run. step_size: in units of the radius, or of the input if `raw` (of an l1 ball, the l1
    length of a step); 0 stands for 2.5 radii / steps. restarts: runs, of which the largest loss counts. start: where
    runs begin. objective: what is raised.

    step: which way. `customary` suits the norm; `sign` is the gradient's; `frank-wolfe` goes to the set's steepest
    point, `step_size` of the way, or 2 / (t + 2) at step t if that is 0; `sinkhorn` is `sign`, projected onto a
    Wasserstein ball as the thesis does (Algorithm 8), with steps in units of the input, by default 0.1.

    growth: a factor by which the radius grows after every so many steps (`every`), up to the set itself in the last
    ones; 1 for none. first: each sample is left alone at the first point that gets another class, and trained on it;
    where none does, on the point of least margin. Together they train on near points (thesis, Section 5.2).
    """

    steps: Steps = 10
    step_size: NonNegative = 0.0
    raw: bool = False
    restarts: Steps = 1
    start: StartName = "uniform"
    objective: ObjectiveName = "cross-entropy"
    step: StepName = "customary"
    growth: Factor = 1.0
    every: Steps = 1
    first: bool = False

    def attack(self, batch: Batch) -> Attack:
        step, size = self._steps()
        last: Keep = "last" if self.restarts == 1 else "loss"
        return Ascent(
            start_named(self.start),
            objective_named(self.objective),
            step,
            size,
            self.steps,
            self.restarts,
            keep=self._first(batch) if self.first else last,
            growth=Growth(self.growth, self.every),
        )

    def _first(self, batch: Batch) -> Keep:
        """Batch norms that normalise by the batch must see all of it, also those samples that are refuted."""
        return "first-together" if batch.learns and self.mode == "training" else "first"

    def _steps(self) -> tuple[Step, StepSize]:
        fixed = Fixed(self.step_size, self.raw) if self.step_size else Fixed(2.5 / self.steps)
        if self.step == "frank-wolfe":
            return ToWorst(), fixed if self.step_size else Harmonic()
        if self.step == "sinkhorn":
            return Sign(raw=True), Entropic(self.step_size or 0.1)
        return Sign() if self.step == "sign" else Customary(), fixed


@dataclass(frozen=True)
class Adversarial(AttackedLoss):
    """The loss at the point of least margin that projected gradient descent sees, begun at the sample.

    The strongest of these attacks, and the slowest: every point that it passes is judged. The options are `PgdLoss`'s.
    """

    steps: Steps = 8
    restarts: Steps = 1
    step_size: NonNegative = 0.0

    def attack(self, batch: Batch) -> Attack:
        return Pgd(self.steps, self.step_size or None, self.restarts)


@dataclass(frozen=True)
class MultiSteepest(AttackedLoss):
    """The loss at the points that multi steepest descent finds in a union (Maini et al., 2020; thesis, Algorithm 9).

    The options are `PgdLoss`'s; steps are in units of each member's radius.
    """

    steps: Steps = 8
    restarts: Steps = 1
    step_size: NonNegative = 0.0
    objective: ObjectiveName = "margin"
    start: StartName = "zero"
    union: Literal["worst"] = field(default="worst", kw_only=True)  # one attack for the whole union

    def attack(self, batch: Batch) -> Attack:
        keep: Keep = "worst" if self.objective == "margin" else "loss"
        size = self.step_size or None
        return Msd(self.steps, size, self.restarts, objective=self.objective, keep=keep, start=self.start)
