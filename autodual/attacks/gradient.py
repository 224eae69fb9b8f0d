"""Gradient attacks, one loop for all: step in the region's own norm, project, keep the worst point."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from autodual.attacks.base import Attack, Function
from autodual.errors import InvalidInputError
from autodual.perturbations import Searchable, require_searchable
from autodual.specs import Rows, Specification
from autodual.tensors import flat


class GradientAttack(Attack):
    """The loop. Attacks differ in the number of starts and steps, and in the step itself."""

    steps: int

    @property
    @abstractmethod
    def starts(self) -> int:
        """The number of starts: the first from the nominal samples, the others from random points."""

    @property
    @abstractmethod
    def random_seed(self) -> int:
        """The seed of the random starts."""

    @abstractmethod
    def step(self, region: Searchable, points: Tensor, ascent: Tensor) -> Tensor:
        """The next points `[N, *shape]`, before projection.

        Args:
            region: the set, placed around N samples.
            points: the current points `[N, *shape]`.
            ascent: minus the gradient of the margin, `[N, *shape]`.
        """

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
            generator = torch.Generator(region.centre.device).manual_seed(self.random_seed)
        nominal = region.project(region.centre.detach())
        worst = _Worst(region, nominal)
        margin_of = _Margin(function, specification, specification.rows(function(region.centre)))
        for start in range(self.starts):
            points = nominal if start == 0 else region.sample(1, generator)[0]
            for _ in range(self.steps):
                margin, gradient = margin_of.with_gradient(points)
                worst.update(points, margin)
                points = region.project(self.step(region, points, -gradient))
            worst.update(points, margin_of(points))
        return worst.points


@dataclass(frozen=True)
class Fgsm(GradientAttack):
    """One step to the point that is worst for the network linearised at the sample (Goodfellow et al., 2015).

    Example:
        >>> import autodual, torch
        >>> from autodual.attacks import Fgsm
        >>> from autodual.specs import ClassMargin
        >>> region = autodual.LinfBall(0.5).at(torch.tensor([[1.0, 0.75]]))
        >>> Fgsm().run(lambda z: z, region, ClassMargin(torch.tensor([0])))
        tensor([[0.5000, 1.2500]])
    """

    steps = 1
    starts = 1
    random_seed = 0

    def step(self, region: Searchable, points: Tensor, ascent: Tensor) -> Tensor:
        return region.steepest(ascent)


@dataclass(frozen=True)
class Pgd(GradientAttack):
    """Projected gradient descent on the margin (Madry et al., 2018).

    Args:
        steps: gradient steps from each start.
        step_size: in units of the set's radius; None: 2.5 / steps, enough to cross the set and to settle.
        restarts: the number of starts, the first at the nominal samples, the others at random points.
        seed: of the random points.

    Raises:
        InvalidInputError: fewer than one step or start, or a step size that is not positive and finite.

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

    def __post_init__(self) -> None:
        if self.steps < 1 or self.restarts < 1:
            raise InvalidInputError(f"an attack needs steps and restarts, but has {self.steps} and {self.restarts}")
        if self.step_size is not None and not 0 < self.step_size < float("inf"):
            raise InvalidInputError(f"the step size must be positive and finite, but is {self.step_size}")

    @property
    def starts(self) -> int:
        return self.restarts

    @property
    def random_seed(self) -> int:
        return self.seed

    def step(self, region: Searchable, points: Tensor, ascent: Tensor) -> Tensor:
        size = 2.5 / self.steps if self.step_size is None else self.step_size
        return points + size * region.direction(ascent)


@dataclass(frozen=True)
class _Margin:
    """The specification's margin `[N]` as a function of the points, and its gradient."""

    function: Function
    specification: Specification
    rows: Rows

    def __call__(self, points: Tensor) -> Tensor:
        return self.specification.margin(self.rows.values(flat(self.function(points))))

    def with_gradient(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """The margin and its gradient `[N, *shape]`; zero where it is not defined, so that no point becomes NaN."""
        with torch.enable_grad():
            points = points.detach().clone().requires_grad_()
            margin = self(points)
            if not margin.requires_grad:
                return margin, torch.zeros_like(points)
            gradient = torch.autograd.grad(margin.sum(), points, allow_unused=True, materialize_grads=True)[0]
        return margin.detach(), gradient.nan_to_num(0, 0, 0)


class _Worst:
    """For each sample, the point of lowest margin seen so far among those that the region contains."""

    def __init__(self, region: Searchable, points: Tensor):
        self._region = region
        self._margin = points.new_full((region.count,), torch.inf)
        self.points = points

    def update(self, points: Tensor, margin: Tensor) -> None:
        better = (margin < self._margin) & self._region.contains(points)
        self._margin = torch.where(better, margin, self._margin)
        self.points = torch.where(better.reshape(-1, *[1] * (points.dim() - 1)), points, self.points)
