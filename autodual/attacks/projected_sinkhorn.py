"""The thesis' attack on Wasserstein balls: steps along the sign of the gradient, projected with an entropy."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from autodual.attacks.ascent import Ascent
from autodual.attacks.ascent_state import State
from autodual.attacks.gradient_attack import GradientAttack, check_parts
from autodual.attacks.kept import Keep
from autodual.attacks.objectives import Objective, objective_named
from autodual.attacks.starts import Start, start_named
from autodual.attacks.step_kinds import Sign
from autodual.attacks.step_sizes import Fixed, StepSize
from autodual.errors import InvalidInputError
from autodual.perturbations import Searchable


@dataclass(frozen=True)
class Entropic(StepSize):
    """Always the same multiple of the step, and from there into a Wasserstein ball by the projection with an entropy.

    Args:
        size: of each step, in units of the step.
        strength: λ, of the distance against the entropy; smaller ones blur more.
    """

    size: float = 0.1
    strength: float = 1000.0

    def __post_init__(self) -> None:
        Fixed(self.size)
        if not 0 < self.strength < math.inf:
            raise InvalidInputError(f"the strength must be positive and finite, but is {self.strength}")

    def advance(self, region: Searchable, state: State, move: Tensor) -> Tensor:
        projected = getattr(region, "entropic", None)
        if projected is None:
            raise InvalidInputError(
                "the projection with an entropy is one onto Wasserstein balls without a domain, but the set is this: "
                f"{region.source.describe()}; use pgd there"
            )
        found: Tensor = projected(state.points + self.size * move, self.strength)
        return found


@dataclass(frozen=True)
class ProjectedSinkhorn(GradientAttack):
    """Steps of `step_size` times the gradient's sign, projected by Algorithm 8 (Wong, Schmidt, Kolter, 2019).

    Kept to compare with: `FrankWolfe` finds more, in less time.

    Args:
        steps: gradient steps from each start.
        step_size: in units of the input.
        strength: λ of the projection, for images of mass 1: the thesis has 1000 for MNIST, 3000 for CIFAR-10.
        restarts: the number of starts, the first as `start` says, the others at random points.
        seed: of the random points.
        objective: what is raised, one of `OBJECTIVES` by its name or an `Objective`.
        start: where the first run begins, one of `STARTS` by its name or a `Start`.
        keep: which point is given back; "first" leaves samples that are refuted alone.

    Raises:
        InvalidInputError: fewer than one step or start, a size or strength that is not positive and finite, an unknown
            name, or, when run, another set than a Wasserstein ball without a domain.

    Example:
        >>> import autodual, torch
        >>> from autodual.attacks import ProjectedSinkhorn
        >>> from autodual.specs import ClassMargin
        >>> region = autodual.WassersteinBall(0.25).at(torch.tensor([[[1.0, 0.75]]]))
        >>> attack = ProjectedSinkhorn(steps=20)
        >>> attack.run(lambda z: z.flatten(1), region, ClassMargin(torch.tensor([0]))).round(decimals=3)
        tensor([[[0.5630, 1.1870]]])
    """

    steps: int = 40
    step_size: float = 0.1
    strength: float = 1000.0
    restarts: int = 1
    seed: int = 0
    objective: str | Objective = "cross-entropy"
    start: str | Start = "zero"
    keep: Keep = "worst"

    def __post_init__(self) -> None:
        check_parts(self.steps, self.restarts, self.keep, self.objective, self.start)
        Entropic(self.step_size, self.strength)

    @property
    def ascent(self) -> Ascent:
        start, objective = start_named(self.start), objective_named(self.objective)
        size = Entropic(self.step_size, self.strength)
        return Ascent(start, objective, Sign(raw=True), size, self.steps, self.restarts, self.keep, self.seed)
