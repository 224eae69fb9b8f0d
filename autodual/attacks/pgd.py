"""Projected gradient descent with a fixed step, plain and with momentum."""

from __future__ import annotations

from dataclasses import dataclass

from autodual.attacks.ascent import Ascent, check_counts
from autodual.attacks.gradient_attack import GradientAttack, check_parts
from autodual.attacks.kept import Keep, check_keep
from autodual.attacks.objectives import Objective, objective_named
from autodual.attacks.starts import Start, start_named
from autodual.attacks.step_kinds import Momentum, Natural
from autodual.attacks.step_sizes import Fixed


@dataclass(frozen=True)
class Pgd(GradientAttack):
    """Projected gradient descent on the margin (Madry et al., 2018).

    Args:
        steps: gradient steps from each start.
        step_size: in units of the set's radius; None: 2.5 / steps, enough to cross the set and to settle.
        restarts: the number of starts, the first as `start` says, the others at random points.
        seed: of the random points.
        objective: what is raised, one of `OBJECTIVES` by its name or an `Objective`.
        start: where the first run begins, one of `STARTS` by its name or a `Start`.
        keep: which point is given back; "first" leaves samples that are refuted alone.

    Raises:
        InvalidInputError: fewer than one step or start, a step size that is not positive and finite, or an unknown
            name.

    Example:
        >>> import autodual, torch
        >>> from autodual.attacks import Pgd
        >>> from autodual.specs import ClassMargin
        >>> region = autodual.LinfBall(0.5).at(torch.tensor([[1.0, 0.75]]))
        >>> Pgd(steps=5).run(lambda z: z, region, ClassMargin(torch.tensor([0])))
        tensor([[0.5000, 1.2500]])
    """

    steps: int = 40
    step_size: float | None = None
    restarts: int = 1
    seed: int = 0
    objective: str | Objective = "margin"
    start: str | Start = "zero"
    keep: Keep = "worst"

    def __post_init__(self) -> None:
        check_parts(self.steps, self.restarts, self.keep, self.objective, self.start)
        Fixed(1.0 if self.step_size is None else self.step_size)

    @property
    def ascent(self) -> Ascent:
        size = Fixed(2.5 / self.steps if self.step_size is None else self.step_size)
        start, objective = start_named(self.start), objective_named(self.objective)
        return Ascent(start, objective, Natural(), size, self.steps, self.restarts, self.keep, self.seed)


@dataclass(frozen=True)
class Mim(GradientAttack):
    """PGD along an average of gradients, which carries over from network to network (Dong et al., 2018).

    `decay`: how much of the average each step keeps. `step_size` is in units of the radius, by default 2.5 / steps.
    """

    steps: int = 10
    step_size: float | None = None
    decay: float = 1.0
    restarts: int = 1
    seed: int = 0
    objective: str | Objective = "cross-entropy"
    keep: Keep = "worst"

    def __post_init__(self) -> None:
        check_counts(self.steps, self.restarts)
        check_keep(self.keep)
        objective_named(self.objective)
        Fixed(1.0 if self.step_size is None else self.step_size)

    @property
    def ascent(self) -> Ascent:
        size = Fixed(2.5 / self.steps if self.step_size is None else self.step_size)
        return Ascent(
            objective=objective_named(self.objective),
            step=Momentum(Natural(), self.decay),
            size=size,
            steps=self.steps,
            restarts=self.restarts,
            keep=self.keep,
            seed=self.seed,
        )
