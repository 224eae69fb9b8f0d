"""Norm balls as a user writes them: `LinfBall(0.1)`, `L2Ball`, `L1Ball`, `LpBall(p, 0.1)`."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, ClassVar

from torch import Tensor

from autodual.errors import InvalidInputError
from autodual.perturbations.balls.ball_region import BallRegion
from autodual.perturbations.balls.clipped_region import clip
from autodual.perturbations.box import box_region
from autodual.perturbations.parameters import (
    Domain,
    Parameter,
    checked_domain,
    checked_radius,
    clipping_words,
    domain_ends,
    domain_settings,
    multiplied,
    placed_radius,
    same_for_all,
    summary,
    words,
)
from autodual.perturbations.perturbation import PerturbationSet, changed
from autodual.perturbations.regions.region import Region
from autodual.perturbations.regions.row_norms import flatten


class NormBall(PerturbationSet):
    """{z : ‖z − x‖_order ≤ radius}, intersected with the domain if there is one."""

    radius: Parameter
    domain: Domain

    @property
    @abstractmethod
    def order(self) -> float:
        """The order p of the norm, in [1, inf]."""

    def __post_init__(self) -> None:
        checked_radius(self.radius)
        object.__setattr__(self, "domain", checked_domain(self.domain))

    def bind(self, x: Tensor) -> Region:
        exact_radius, radius = placed_radius(self.radius, x)
        source = changed(self, radius=exact_radius)
        if self.order == math.inf:
            return box_region(source, x, x - radius, x + radius, self.domain, radius)
        per_sample = flatten(radius, 1)
        uniform = per_sample[:, 0].expand(x.shape[0]) if per_sample.shape[1] == 1 else None
        if uniform is None:
            raise InvalidInputError(
                f"the radius of an {self._name} ball must be one number per sample, but has the shape "
                f"{list(radius.shape)}; only l∞ balls take a radius per feature"
            )
        ball = BallRegion(source, x, uniform, self.order)
        ends = domain_ends(self.domain, x)
        return ball if ends is None else clip(ball, *ends)

    @property
    def neighbourhood(self) -> bool:
        return True

    def symmetric(self, x: Tensor) -> bool:
        """True if all samples have the same radius: else y may lie in z's large ball, but z not in y's small one.

        Args:
            x: the samples `[N, *shape]`.
        """
        return same_for_all(self.radius, x, "radius")

    def scaled(self, factor: float) -> NormBall:
        return replace(self, radius=multiplied(self.radius, factor, "radius"))  # type: ignore[type-var]

    def describe(self) -> str:
        return f"{self._name} ball of radius {words(self.radius)}, {clipping_words(self.domain)}"

    def settings(self) -> dict[str, Any]:
        order = "inf" if self.order == math.inf else self.order
        domain = domain_settings(self.domain)
        return {"set": type(self).__name__, "p": order, "radius": summary(self.radius), "domain": domain}

    @property
    def _name(self) -> str:
        return "l∞" if self.order == math.inf else f"l{self.order:g}"


@dataclass(frozen=True, eq=False)
class LinfBall(NormBall):
    """{z : |z_i − x_i| ≤ radius for every feature i}, intersected with the domain if there is one.

    Args:
        radius: a number, `[N]` (one per sample), or several axes that broadcast to the samples `[N, *shape]` (per
            feature); a tensor, an array or lists, in the units of the input.
        domain: None, or a pair (lower, upper) of numbers or tensors that broadcast to one sample.

    Raises:
        InvalidInputError: the radius is negative or not finite, or the domain is no pair of numbers.
        EmptySetError: a lower end of the domain lies above its upper end.

    Example:
        >>> import autodual, torch
        >>> region = autodual.LinfBall(0.5, domain=(0, 1)).at(torch.tensor([[0.25, 0.75]]))
        >>> region.enclosure().lower, region.enclosure().upper
        (tensor([[0.0000, 0.2500]]), tensor([[0.7500, 1.0000]]))
    """

    radius: Parameter
    domain: Domain = None
    order: ClassVar[float] = math.inf


@dataclass(frozen=True, eq=False)
class L2Ball(NormBall):
    """{z : ‖z − x‖₂ ≤ radius} over all features together, intersected with the domain if there is one.

    With a domain, extremes of linear functions are valid bounds rather than exact values.

    Args:
        radius: a number, or `[N]` with one per sample.
        domain: as in `LinfBall`.

    Raises:
        InvalidInputError: as in `LinfBall`; also, when placed, where the radius is per feature.

    Example:
        >>> import autodual, torch
        >>> autodual.L2Ball(1.0).at(torch.zeros(1, 2)).contains(torch.tensor([[0.6, 0.7]]))
        tensor([True])
    """

    radius: Parameter
    domain: Domain = None
    order: ClassVar[float] = 2.0


@dataclass(frozen=True, eq=False)
class L1Ball(NormBall):
    """{z : ‖z − x‖₁ ≤ radius} over all features together, intersected with the domain if there is one.

    With a domain, extremes of linear functions are valid bounds rather than exact values.

    Args:
        radius: a number, or `[N]` with one per sample.
        domain: as in `LinfBall`.

    Raises:
        InvalidInputError: as in `L2Ball`.

    Example:
        >>> import autodual, torch
        >>> autodual.L1Ball(1.0).at(torch.zeros(1, 2)).contains(torch.tensor([[0.6, 0.7]]))
        tensor([False])
    """

    radius: Parameter
    domain: Domain = None
    order: ClassVar[float] = 1.0


@dataclass(frozen=True, eq=False)
class LpBall(NormBall):
    """{z : ‖z − x‖_p ≤ radius}, intersected with the domain if there is one.

    For p = 1, 2 and inf the same as `L1Ball`, `L2Ball` and `LinfBall`.

    Args:
        p: the order of the norm, in [1, inf].
        radius: a number, or `[N]` with one per sample.
        domain: as in `LinfBall`.

    Raises:
        InvalidInputError: p is below 1 or no number; else as in `L2Ball`.

    Example:
        >>> import autodual
        >>> autodual.LpBall(3, 0.5).describe()
        'l3 ball of radius 0.5, unclipped'
    """

    p: float
    radius: Parameter
    domain: Domain = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.p, bool) or not isinstance(self.p, Real) or not self.p >= 1:
            raise InvalidInputError(f"the order p of a norm must be a number of at least 1, but is {self.p!r}")

    @property
    def order(self) -> float:
        return float(self.p)
