"""Attacks of a single step."""

from __future__ import annotations

from dataclasses import dataclass

from autodual.attacks.ascent import Ascent
from autodual.attacks.gradient_attack import GradientAttack
from autodual.attacks.kept import Keep
from autodual.attacks.objectives import Objective, objective_named
from autodual.attacks.starts import Hypercube, Uniform
from autodual.attacks.step_kinds import ToWorst, UncutSteepest
from autodual.attacks.step_sizes import Fixed


@dataclass(frozen=True)
class Fgsm(GradientAttack):
    """One step to the point that is worst for the network linearised at the sample (Goodfellow et al., 2015).

    Args:
        objective: what is raised, one of `OBJECTIVES` by its name or an `Objective`.
        keep: which point is given back; see `Ascent`.

    Example:
        >>> import autodual, torch
        >>> from autodual.attacks import Fgsm
        >>> from autodual.specs import ClassMargin
        >>> region = autodual.LinfBall(0.5).at(torch.tensor([[1.0, 0.75]]))
        >>> Fgsm().run(lambda z: z, region, ClassMargin(torch.tensor([0])))
        tensor([[0.5000, 1.2500]])
    """

    objective: str | Objective = "margin"
    keep: Keep = "worst"

    @property
    def ascent(self) -> Ascent:
        objective = objective_named(self.objective)
        return Ascent(objective=objective, step=ToWorst(), size=Fixed(1.0), steps=1, keep=self.keep)


@dataclass(frozen=True)
class RandomFgsm(GradientAttack):
    """One step from a point drawn uniformly (Wong et al., 2020), 1.25 radii long by default: from anywhere, too far.

    `step_size` is in units of the radius. As in training, where the step ends counts, not the best point seen.
    """

    step_size: float = 1.25
    objective: str | Objective = "cross-entropy"
    keep: Keep = "last"
    seed: int = 0

    @property
    def ascent(self) -> Ascent:
        objective, size = objective_named(self.objective), Fixed(self.step_size)
        return Ascent(Uniform(), objective, UncutSteepest(), size, steps=1, keep=self.keep, seed=self.seed)


@dataclass(frozen=True)
class RFgsm(GradientAttack):
    """A random step of half the radius, then one of half the radius along the gradient (Tramèr et al., 2018)."""

    objective: str | Objective = "cross-entropy"
    keep: Keep = "last"
    seed: int = 0

    @property
    def ascent(self) -> Ascent:
        objective = objective_named(self.objective)
        return Ascent(Hypercube(), objective, UncutSteepest(), Fixed(0.5), steps=1, keep=self.keep, seed=self.seed)
