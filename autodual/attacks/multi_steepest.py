"""Multi steepest descent (Maini, Wong, Kolter, 2020; thesis, Algorithm 9): one ascent for a union of sets."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from autodual.attacks.base import Attack, Function
from autodual.attacks.members import lowest, ranked
from autodual.errors import InvalidInputError
from autodual.perturbations import Searchable, require_searchable
from autodual.specs import Rows, Specification
from autodual.tensors import flat


@dataclass(frozen=True)
class Msd(Attack):
    """At each step, every member of a union proposes its own steepest step, projected onto itself; the worst is taken.

    An iterate lies in some member, so it never leaves the union, and may change from one member's geometry to
    another's at any step. The worst point seen is returned. A step costs one gradient and a forward pass for each
    member. In a set that is no union this is projected gradient descent.

    Args:
        steps: how many.
        step_size: in units of each member's radius; by default 2.5 / steps.
        restarts: the first begins at the nominal samples, the others at random points of the union.
        seed: of those.

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
    joint: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.steps < 1 or self.restarts < 1:
            raise InvalidInputError(f"an attack needs steps and restarts, but has {self.steps} and {self.restarts}")
        if self.step_size is not None and not 0 < self.step_size < math.inf:
            raise InvalidInputError(f"the step size must be positive and finite, but is {self.step_size}")

    @torch.no_grad()
    def run(
        self,
        function: Function,
        region: Searchable,
        specification: Specification,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        require_searchable(region)
        if generator is None:
            generator = torch.Generator(region.centre.device).manual_seed(self.seed)
        members = [require_searchable(member.at(region.centre)) for member in region.source.members()]
        problem = _Problem(function, specification, specification.rows(function(region.centre)))
        size = 2.5 / self.steps if self.step_size is None else self.step_size
        points = region.project(region.centre.detach())
        worst, least = points, ranked(problem.margin(points))
        for restart in range(self.restarts):
            if restart:
                points = region.sample(1, generator)[0]
            for _ in range(self.steps):
                ascent = -problem.gradient(points)
                found = torch.stack([one.project(points + size * one.direction(ascent)) for one in members])
                margins = torch.stack([problem.margin(proposed) for proposed in found])
                points = lowest(found, margins)
                reached = ranked(margins).amin(0)
                worst = lowest(torch.stack([worst, points]), torch.stack([least, reached]))
                least = least.minimum(reached)
        return worst


@dataclass(frozen=True, eq=False)
class _Problem:
    """The specification's margin as a function of points."""

    function: Function
    specification: Specification
    rows: Rows

    def margin(self, points: Tensor) -> Tensor:
        """`[N]`."""
        return self.specification.margin(self.rows.values(flat(self.function(points))))

    def gradient(self, points: Tensor) -> Tensor:
        """`[N, *shape]`; zero where there is none, so that no point becomes NaN."""
        with torch.enable_grad():
            points = points.detach().clone().requires_grad_()
            margin = self.margin(points)
            if not margin.requires_grad:
                return torch.zeros_like(points)
            found = torch.autograd.grad(margin.sum(), points, allow_unused=True, materialize_grads=True)[0]
        return found.nan_to_num(0, 0, 0)
