"""Frank and Wolfe's ascent: through the set towards its steepest points, without any projection."""

from __future__ import annotations

from dataclasses import dataclass

from autodual.attacks.ascent import Ascent
from autodual.attacks.gradient_attack import GradientAttack, check_parts
from autodual.attacks.kept import Keep
from autodual.attacks.objectives import Objective, objective_named
from autodual.attacks.starts import Start, start_named
from autodual.attacks.step_kinds import Momentum, Step, ToWorst
from autodual.attacks.step_sizes import Fixed, StepSize
from autodual.attacks.walks import Harmonic, LineSearch
from autodual.errors import InvalidInputError


@dataclass(frozen=True)
class FrankWolfe(GradientAttack):
    """Steps towards the point of the set at which the linearised objective is largest (Frank and Wolfe, 1956).

    The way there lies in the set if that is convex, so nothing is projected: for sets such as Wasserstein balls, whose
    steepest points are cheap and whose projection is dear.

    Args:
        steps: gradient steps from each start.
        share: of the way that each step goes, above 0 and at most 1; None: 2 / (t + 2) at step t.
        line_search: try several shares at each step instead, each by a forward pass, and take the best.
        momentum: how much of the average of past gradients, each divided by its l1 norm, a step keeps; from 0 to 1.
        restarts: the number of starts, the first as `start` says, the others at random points.
        seed: of the random points.
        objective: what is raised, one of `OBJECTIVES` by its name or an `Objective`.
        start: where the first run begins, one of `STARTS` by its name or a `Start`.
        keep: which point is given back; "first" leaves samples that are refuted alone.

    Raises:
        InvalidInputError: fewer than one step or start, a share or a momentum out of its range, or an unknown name.

    Example:
        >>> import autodual, torch
        >>> from autodual.attacks import FrankWolfe
        >>> from autodual.specs import ClassMargin
        >>> region = autodual.L2Ball(0.5).at(torch.tensor([[1.0, 0.75]]))
        >>> FrankWolfe(steps=5).run(lambda z: z, region, ClassMargin(torch.tensor([0])))
        tensor([[0.6464, 1.1036]])
    """

    steps: int = 40
    share: float | None = None
    line_search: bool = False
    momentum: float = 0.0
    restarts: int = 1
    seed: int = 0
    objective: str | Objective = "margin"
    start: str | Start = "zero"
    keep: Keep = "worst"

    def __post_init__(self) -> None:
        check_parts(self.steps, self.restarts, self.keep, self.objective, self.start)
        if self.share is not None and not 0 < self.share <= 1:
            raise InvalidInputError(f"the share of the way must be above 0 and at most 1, but is {self.share}")
        if not 0 <= self.momentum <= 1:
            raise InvalidInputError(f"the momentum must be from 0 to 1, but is {self.momentum}")

    @property
    def ascent(self) -> Ascent:
        start, objective = start_named(self.start), objective_named(self.objective)
        step: Step = Momentum(ToWorst(), self.momentum) if self.momentum else ToWorst()
        return Ascent(start, objective, step, self._size, self.steps, self.restarts, self.keep, self.seed)

    @property
    def _size(self) -> StepSize:
        if self.line_search:
            return LineSearch()
        return Harmonic() if self.share is None else Fixed(self.share)
