"""Multi steepest descent (Maini, Wong, Kolter, 2020; thesis, Algorithm 9): one ascent for a union of sets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from autodual.attacks.ascent import Ascent
from autodual.attacks.gradient_attack import GradientAttack, check_parts
from autodual.attacks.kept import Keep
from autodual.attacks.objectives import Objective, objective_named
from autodual.attacks.starts import Start, start_named
from autodual.attacks.step_sizes import Fixed
from autodual.attacks.worst_member import WorstMember


@dataclass(frozen=True)
class Msd(GradientAttack):
    """At each step, every member of a union proposes its own steepest step, projected onto itself; the worst is taken.

    The worst point seen is returned. A step costs one gradient and a forward pass for each member. In a set that is no
    union this is projected gradient descent.

    Args:
        steps: how many.
        step_size: in units of each member's radius; by default 2.5 / steps.
        restarts: the first begins as `start` says, the others at random points of the union if that is not random.
        seed: of those.
        objective: what is raised, and what decides among the members; one of `OBJECTIVES` by its name, or an
            `Objective`.
        keep: which point is given back; see `Ascent`.
        start: one of `STARTS` by its name or a `Start`; with "outward" each restart begins at the edge of the next
            member.

    Example:
        >>> import autodual, torch
        >>> from autodual.attacks import Msd
        >>> from autodual.specs import ClassMargin
        >>> region = autodual.Union(autodual.L1Ball(0.1), autodual.LinfBall(0.5)).at(torch.tensor([[1.0, 0.8]]))
        >>> Msd(steps=5).run(lambda z: z, region, ClassMargin(torch.tensor([0])))
        tensor([[0.5000, 1.3000]])
    """

    steps: int = 50
    step_size: float | None = None
    restarts: int = 1
    seed: int = 0
    objective: str | Objective = "margin"
    keep: Keep = "worst"
    start: str | Start = "zero"
    joint: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_parts(self.steps, self.restarts, self.keep, self.objective, self.start)
        Fixed(1.0 if self.step_size is None else self.step_size)

    @property
    def ascent(self) -> Ascent:
        return Ascent(
            start=start_named(self.start),
            objective=objective_named(self.objective),
            step=WorstMember(),
            size=Fixed(2.5 / self.steps if self.step_size is None else self.step_size),
            steps=self.steps,
            restarts=self.restarts,
            keep=self.keep,
            seed=self.seed,
        )
