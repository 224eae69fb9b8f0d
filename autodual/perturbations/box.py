"""Boxes: every feature in its own interval, independently of the others. l∞ balls are boxes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor

from autodual.errors import InvalidInputError
from autodual.interval import Interval
from autodual.perturbations.parameters import (
    Domain,
    Parameter,
    aligned,
    check_ends,
    checked_domain,
    clipping_words,
    domain_ends,
    domain_settings,
    like,
    summary,
    words,
)
from autodual.perturbations.perturbation import PerturbationSet, changed, require_points
from autodual.perturbations.regions.region import Region
from autodual.perturbations.regions.row_norms import flatten, inner, norm
from autodual.perturbations.regions.support import CentredNorms, WeightedNorm, end_rounding
from autodual.perturbations.regions.view import View
from autodual.requirements import require
from autodual.tensors import finite, shared


@dataclass(frozen=True, eq=False)
class Box(PerturbationSet):
    """{z : lower ≤ z ≤ upper}, intersected with the domain if there is one; the samples need not lie inside.

    Args:
        lower, upper: numbers, `[*shape]` or `[N, *shape]`; tensors, arrays or lists.
        domain: None, or a pair (lower, upper) of numbers or tensors that broadcast to one sample.

    Raises:
        EmptySetError: a lower end lies above its upper end.
        InvalidInputError: the ends are no real numbers, or hold NaN.

    Example:
        >>> import autodual, torch
        >>> autodual.Box([0.0, -1.0], [1.0, 1.0]).at(torch.zeros(1, 2)).contains(torch.tensor([[0.5, -2.0]]))
        tensor([False])
    """

    lower: Parameter
    upper: Parameter
    domain: Domain = None

    def __post_init__(self) -> None:
        check_ends(self.lower, self.upper, "the box")
        object.__setattr__(self, "domain", checked_domain(self.domain))

    def bind(self, x: Tensor) -> BoxRegion:
        lower, upper = aligned(self.lower, x, "lower"), aligned(self.upper, x, "upper")
        source = changed(self, lower=lower, upper=upper)
        return box_region(source, x, like(lower, x), like(upper, x), self.domain)

    def describe(self) -> str:
        ends = f"lower ends {words(self.lower)} and upper ends {words(self.upper)}"
        return f"box with {ends}, {clipping_words(self.domain)}"

    def settings(self) -> dict[str, Any]:
        ends = {"lower": summary(self.lower), "upper": summary(self.upper)}
        return {"set": "Box", **ends, "domain": domain_settings(self.domain)}


def box_region(
    source: PerturbationSet, x: Tensor, lower: Tensor, upper: Tensor, domain: Domain, uncut: Tensor | None = None
) -> BoxRegion:
    """[lower, upper] (broadcast to x) clipped to the domain; `uncut` where [lower, upper] is x ± uncut."""
    ends, radius = domain_ends(domain, x), None
    if ends is not None:
        lower, upper = torch.maximum(lower, ends[0]), torch.minimum(upper, ends[1])
    elif uncut is not None and uncut.shape[1:].numel() == 1:
        radius = uncut.reshape(-1).expand(x.shape[0])
    require(finite(lower, upper), _unbounded)
    if not x.shape == lower.shape == upper.shape:
        lower, upper = lower.expand_as(x), upper.expand_as(x)
    if ends is not None or uncut is None:  # x itself lies in [x - uncut, x + uncut]
        require_points(flatten(lower <= upper, 1).all(1), source)
    if uncut is not None and uncut.shape[0] != x.shape[0]:
        uncut = uncut.expand(x.shape[0], *uncut.shape[1:])
    return BoxRegion(source, x, lower, upper, radius, uncut)


def _unbounded() -> InvalidInputError:
    return InvalidInputError("the box must be bounded: give finite ends or a finite domain")


@dataclass(frozen=True, eq=False)
class BoxRegion(Region):
    """The box [lower, upper], both `[N, *shape]`; all answers are exact.

    `radius` `[N]` is the half-width of all features around `centre`, or None if features differ. With it, extremes
    need a norm instead of an inner product, which saves a temporary tensor as large as the rows. `uncut`
    `[N, *shape or ones]` is the radius of the l∞ ball that was cut down to the domain, None if the box is no such ball.
    """

    independent: ClassVar[bool] = True

    lower: Tensor
    upper: Tensor
    radius: Tensor | None = None
    uncut: Tensor | None = None

    @property
    def norm_order(self) -> float | None:
        return None if self.uncut is None else math.inf

    @property
    def radii(self) -> Tensor:
        return super().radii if self.uncut is None else self.uncut

    @cached_property
    def middle(self) -> Tensor:
        """`[N, *shape]`, the point around which the box is symmetric."""
        return self.centre if self.radius is not None else (self.lower + self.upper) / 2

    @cached_property
    def half_width(self) -> Tensor:
        """`[N, *shape]`."""
        return (self.upper - self.lower) / 2

    def enclosure(self) -> Interval:
        box = Interval(self.lower, self.upper)
        if self.radius is None:
            return box
        return box.made_of(self.centre, self.per_feature(self.radius))

    def extremes(self, nu: Tensor, view: View) -> tuple[Tensor, Tensor]:
        value = inner(nu, view.features(self.middle))
        if self.radius is None:
            spread = inner(nu.abs(), view.features(self.half_width))
        else:
            spread = view.samples(self.radius) * norm(flatten(nu, 2), 1)
        return value - spread, value + spread

    def centred_norms(self) -> CentredNorms:
        if self.radius is None:
            weights = self.half_width
        else:
            weights = self.per_feature(shared(self.radius)).expand(-1, *self.shape)
        return CentredNorms(self.middle, (WeightedNorm(weights, 1),))

    def contains(self, points: Tensor, tolerance: float = 0.0) -> Tensor:
        lower, upper = (self.lower, self.upper) if tolerance == 0 else (self.lower - tolerance, self.upper + tolerance)
        # Bytes have a minimum that is much faster than the `all` of truth values.
        inside = (points.clamp(lower, upper) == points).view(torch.uint8)
        return flatten(inside, inside.dim() - len(self.shape)).amin(-1).bool()

    def project(self, points: Tensor) -> Tensor:
        return points.clamp(self.lower, self.upper)

    def steepest(self, gradient: Tensor) -> Tensor:
        return torch.where(gradient > 0, self.upper, torch.where(gradient < 0, self.lower, self.middle))

    def direction(self, gradient: Tensor) -> Tensor:
        return self.half_width * gradient.sign()

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        uniform = self._uniform(count, generator)
        # A third of the features land on a face, where margins are usually lowest.
        place = (1.5 * uniform - 0.25).clamp(0, 1)
        return self.project(self.lower + place * (self.upper - self.lower))

    def corners(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        return torch.where(self._uniform(count, generator) < 0.5, self.lower, self.upper)

    def rounding(self) -> Tensor:
        return end_rounding(self)

    def _uniform(self, count: int, generator: torch.Generator | None) -> Tensor:
        size = (count, *self.centre.shape)
        return torch.rand(size, generator=generator, dtype=self.centre.dtype, device=self.centre.device)
