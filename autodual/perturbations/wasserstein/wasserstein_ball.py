"""Wasserstein balls as a user writes them: `WassersteinBall(0.01)`, one hundredth of the mass moved by one pixel."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from autodual.errors import InvalidInputError
from autodual.perturbations.parameters import (
    Domain,
    Parameter,
    aligned,
    checked_domain,
    clipping_words,
    domain_ends,
    domain_settings,
    exact,
    multiplied,
    same_for_all,
    summary,
    words,
)
from autodual.perturbations.perturbation import PerturbationSet, changed
from autodual.perturbations.regions.region import Region
from autodual.perturbations.regions.row_norms import flatten
from autodual.perturbations.wasserstein.clipped_wasserstein import clip_wasserstein
from autodual.perturbations.wasserstein.moves import Moves
from autodual.perturbations.wasserstein.surrogate_region import SurrogateRegion
from autodual.perturbations.wasserstein.wasserstein_region import WassersteinRegion

# Costs of moves are at most 10 to this power.
_DEAREST = 9


@dataclass(frozen=True, eq=False)
class WassersteinBall(PerturbationSet):
    """Images made of x by moving mass between neighbouring pixels, at a cost of at most eps times the mass of x.

    The mass of an image is the sum of its pixels over all channels, M = Σ x. A plan says how much moves from which
    pixel to which one of the same channel, at most window // 2 rows and columns away; moving one unit of mass costs
    its Euclidean distance in pixels to the power `cost`. All channels share the budget eps · M. So eps = 0.01 lets a
    hundredth of the mass move by one pixel. (Thesis, section 5.1, where images are scaled to mass 1.)

    Args:
        eps: a number, or `[N]` with one per sample.
        window: side of the square of pixels around each to which its mass may move; odd.
        cost: the power of the distance, positive.
        domain: None, or a pair (lower, upper) of numbers or tensors that broadcast to one sample.
        sharpness: λ of a smooth bound that takes the place of the maximum of linear functions (`smooth_support.py`), at
            most log(window²) / λ above it for each unit of mass; 0 for the maximum itself.
        prices: linear functions that all samples share, such as a first layer's, are bounded at so many prices of
            moving mass in place of the best one (`shared_prices.py`): much faster in training, and a little looser; 0
            for the best one.

    Raises:
        InvalidInputError: a parameter is out of its range; also, when placed, where a sample has a negative pixel or
            fewer than two axes.

    Example:
        >>> import autodual, torch
        >>> region = autodual.WassersteinBall(0.25, window=3).at(torch.tensor([[[2.0, 0.0]]]))
        >>> region.enclosure().lower, region.enclosure().upper
        (tensor([[[1.5000, 0.0000]]]), tensor([[[2.0000, 0.5000]]]))
    """

    eps: Parameter
    window: int = 5
    cost: float = 1.0
    domain: Domain = None
    sharpness: float = 0.0
    prices: int = 0

    def __post_init__(self) -> None:
        _check_eps(self.eps)
        if isinstance(self.window, bool) or not isinstance(self.window, int) or self.window < 1 or self.window % 2 == 0:
            raise InvalidInputError(f"window must be an odd number of pixels, such as 5, but is {self.window!r}")
        if isinstance(self.cost, bool) or not isinstance(self.cost, Real) or not 0 < self.cost < math.inf:
            raise InvalidInputError(f"cost must be a positive power of the distance, but is {self.cost!r}")
        if self.cost * math.log10(self.window) > _DEAREST:
            raise InvalidInputError(
                f"the farthest moves within a window of {self.window} cost too much at the power {self.cost:g} of the "
                "distance to be computed with; choose a smaller window or cost"
            )
        real = isinstance(self.sharpness, Real) and not isinstance(self.sharpness, bool)
        if not real or not 0 <= self.sharpness < math.inf:
            raise InvalidInputError(f"sharpness must be positive, or 0 for exact bounds, but is {self.sharpness!r}")
        if isinstance(self.prices, bool) or not isinstance(self.prices, int) or self.prices < 0 or self.prices == 1:
            raise InvalidInputError(f"prices must be at least 2, or 0 for the best one, but is {self.prices!r}")
        object.__setattr__(self, "domain", checked_domain(self.domain))

    @property
    def moves(self) -> Moves:
        """Where mass may move, and what that costs."""
        return Moves(self.window, float(self.cost))

    def bind(self, x: Tensor) -> Region:
        _check_images(x)
        eps = aligned(self.eps, x, "eps", vector_is_per_sample=True)
        if eps[0].numel() > 1:
            raise InvalidInputError(f"eps must be one number per sample, but has the shape {list(eps.shape)}")
        # The mass is a sum of many terms: in float64, so that only its rounding to x's dtype counts.
        budget = flatten(eps, 1)[:, 0].to(x.device).double() * flatten(x, 1).sum(1, dtype=torch.float64)
        _check_eps(eps.detach())
        budget = budget.to(x.dtype)
        if not budget.isfinite().all():
            sample = int((~budget.isfinite()).nonzero()[0])
            raise InvalidInputError(
                f"eps times the mass of sample {sample} is more than {x.dtype} can hold; give a smaller eps"
            )
        source = changed(self, eps=eps)
        if self.sharpness or self.prices:
            ball: WassersteinRegion = SurrogateRegion(source, x, budget, self.sharpness, self.prices)
        else:
            ball = WassersteinRegion(source, x, budget)
        ends = domain_ends(self.domain, x)
        return ball if ends is None else clip_wasserstein(ball, *ends)

    @property
    def neighbourhood(self) -> bool:
        """True: a plan between two images can be reversed, and both have the same mass."""
        return True

    def symmetric(self, x: Tensor) -> bool:
        """True if all samples have the same eps.

        Args:
            x: the samples `[N, *shape]`.
        """
        return same_for_all(self.eps, x, "eps")

    def scaled(self, factor: float) -> WassersteinBall:
        """The same window with a multiple of eps. Mass that two plans move one after the other may leave the window.

        Args:
            factor: what eps is multiplied by.
        """
        return replace(self, eps=multiplied(self.eps, factor, "eps"))

    def describe(self) -> str:
        power = "" if self.cost == 1 else f", cost distance^{self.cost:g}"
        return (
            f"Wasserstein ball of radius {words(self.eps)}, window {self.window}{power}, {clipping_words(self.domain)}"
        )

    def settings(self) -> dict[str, Any]:
        return {
            "set": "WassersteinBall",
            "radius": summary(self.eps),
            "window": self.window,
            "cost": float(self.cost),
            "domain": domain_settings(self.domain),
            **{name: value for name, value in (("sharpness", self.sharpness), ("prices", self.prices)) if value},
        }


def _check_eps(eps: Parameter) -> None:
    numbers = exact(eps, "eps")
    bad = ~(numbers.isfinite() & (numbers >= 0))
    if bad.any():
        raise InvalidInputError(f"eps must be finite and not negative, but is {float(numbers[bad][0]):g}")


def _check_images(x: Tensor) -> None:
    if x.dim() < 3:
        raise InvalidInputError(
            f"a Wasserstein ball needs images, whose last two axes are rows and columns of pixels, not samples of the "
            f"shape {list(x.shape[1:])}"
        )
    negative = flatten(x < 0, 1).any(1)
    if negative.any():
        sample = int(negative.nonzero()[0])
        raise InvalidInputError(
            f"a Wasserstein ball moves mass, which is not negative, but sample {sample} has a pixel of "
            f"{float(x[sample].min()):g}; give images before normalisation, which belongs into the network"
        )
