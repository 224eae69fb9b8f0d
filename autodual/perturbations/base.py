"""Perturbation sets and regions: what a set must say of itself, and what it can do once bound to samples.

A `PerturbationSet` is what a user writes down ("every input within 0.1"); a `Region` is that set around N given
samples. Neither knows of networks: a region answers questions about linear functions, points and itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from copy import copy
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor

from autodual.errors import EmptySetError, InvalidInputError
from autodual.inputs import Samples, sample_tensor
from autodual.interval import Interval
from autodual.perturbations.view import View
from autodual.tensors import all_finite

_Selected = TypeVar("_Selected", bound="PerturbationSet | Region")
_Set = TypeVar("_Set", bound="PerturbationSet")


class PerturbationSet(ABC):
    """A set of inputs around each sample; a frozen dataclass of numbers and tensors as the user gave them."""

    def at(self, x: Samples) -> Region:
        """The set around each of the samples x `[N, *shape]`, in x's dtype and on its device.

        Raises InvalidInputError if x is not finite and floating or a parameter of the set does not fit it, and
        EmptySetError if the set of some sample holds no point.
        """
        x = sample_tensor(x)
        _check_finite(x)
        return self.bind(x)

    @abstractmethod
    def bind(self, x: Tensor) -> Region:
        """`at` for samples that are known to be finite and floating."""

    def scaled(self, factor: float) -> PerturbationSet:
        """The set shrunk towards each sample; `factor` in [0, 1] times as large, the domain apart.

        A point of `scaled(1 - factor)` around x, and of `scaled(factor)` around that, is in the set around x. Raises
        InvalidInputError for sets that are not given by a radius.
        """
        raise InvalidInputError(f"this set has no radius to scale: {self.describe()}; use a norm ball")

    @property
    def neighbourhood(self) -> bool:
        """Whether z is in the set around y exactly if y is in the same set around z, for all y and z of the domain.

        So it is of the ball of a norm. A kind of set that does not say so is none.
        """
        return False

    def symmetric(self, x: Tensor) -> bool:
        """Whether it is a neighbourhood, and the same one for all of the samples x `[N, *shape]`."""
        return False

    @abstractmethod
    def describe(self) -> str:
        """The set in words, with whether and to what it is clipped."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """The set as plain values that JSON can hold; many numbers are summarised as their least and greatest."""


def perturbation_set(ball: Any) -> PerturbationSet:
    """What a caller gave as the set, if it is one; raises InvalidInputError otherwise."""
    if not isinstance(ball, PerturbationSet):
        raise InvalidInputError(f"ball must be a perturbation set, such as autodual.LinfBall(0.1), but is {ball!r}")
    return ball


@dataclass(frozen=True, eq=False)
class WeightedNorm:
    """‖weights · ν‖ of the order 1 or 2, with weights `[N, *shape]`, or `[1, *shape]` if all samples share them."""

    weights: Tensor
    order: int


@dataclass(frozen=True, eq=False)
class CentredNorms:
    """A set by its middle `[N, *shape]`: <ν, z> is at most that of the middle plus the sum of the norms, and at least
    their difference; exactly so, unless the set says otherwise.
    """

    middle: Tensor
    norms: tuple[WeightedNorm, ...]


@dataclass(frozen=True, eq=False)
class Region(ABC):
    """A perturbation set bound to N samples; all tensors have the dtype and device of `centre`.

    `source` is the set with its parameters as given and lined up with the samples; `centre` `[N, *shape]` are the
    nominal samples, which need not lie in the region. Points are `[*, N, *shape]` with any axes in front.
    """

    source: PerturbationSet
    centre: Tensor

    @property
    def count(self) -> int:
        return self.centre.shape[0]

    @property
    def shape(self) -> torch.Size:
        return self.centre.shape[1:]

    def per_feature(self, values: Tensor) -> Tensor:
        """`[*, N]` as `[*, N, 1, …, 1]`."""
        return values.reshape(*values.shape, *[1] * len(self.shape))

    #: Whether the minimum that `extremes` gives is superadditive in `nu`, as an exact one is: that of a sum is at
    #: least the sum of theirs. Only then may rows be skipped that the bounds of other rows have decided.
    superadditive: ClassVar[bool] = True

    #: Whether features move independently of one another, so that the set is its own enclosure.
    independent: ClassVar[bool] = False

    @abstractmethod
    def enclosure(self) -> Interval:
        """The tightest elementwise interval `[N, *shape]` around the region."""

    @abstractmethod
    def extremes(self, nu: Tensor, view: View) -> tuple[Tensor, Tensor]:
        """The minimum and the maximum of <nu, z> over z in the region, `[G, K]` each.

        `nu` `[G or 1, K, *extent]` are rows of cotangents, zero outside the input; 1 in place of G if all groups share
        them. Where the set is too hard, the first is a lower and the second an upper bound.
        """

    def centred_norms(self) -> CentredNorms:
        """The set as random projections can see it, where its support function is a sum of l1 and l2 norms.

        Raises InvalidInputError for other sets.
        """
        raise InvalidInputError(
            f"random projections estimate l1 and l2 norms, which do not describe this set: {self.source.describe()}; "
            "use an l∞ or l2 ball or a box, or the exact bound"
        )

    @abstractmethod
    def contains(self, points: Tensor, tolerance: float = 0.0) -> Tensor:
        """Whether each point lies within `tolerance` (in the units of the radius) of the region: bool `[*, N]`.

        Evaluated in the region's dtype; NaN is nowhere.
        """

    @abstractmethod
    def project(self, points: Tensor) -> Tensor:
        """The nearest points of the region in the Euclidean norm (where a set says so, merely near ones).

        They are in the region as `contains` sees it with no tolerance: rounding is made to fall to the inner side.
        """

    @abstractmethod
    def steepest(self, gradient: Tensor) -> Tensor:
        """A point that maximises <gradient, z> over the region (where a set says so, merely a good one)."""

    @abstractmethod
    def direction(self, gradient: Tensor) -> Tensor:
        """A step of steepest ascent in the set's own geometry, as long as from the middle of the set to its edge."""

    @abstractmethod
    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Random points of the region `[count, N, *shape]`, many of them on its boundary."""

    @abstractmethod
    def corners(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Random extreme points `[count, N, *shape]`: vertices of a box or an l1 ball, the sphere of a round ball."""

    @abstractmethod
    def rounding(self) -> Tensor:
        """`[N, *shape]`: how far the real set may reach beyond `enclosure`, by rounding in this dtype.

        It also covers what `extremes` loses to rounding beyond that of sums of as many terms as a sample has features,
        each of the enclosure's magnitude times the row's entry; that much is for those who know the rows.
        """

    def select(self, index: Tensor | slice) -> Region:
        """The region of some samples, by a LongTensor, a mask or a slice."""
        return _select(self, index, self.centre)

    def to(self, dtype: torch.dtype) -> Region:
        """The same set in another dtype, from its parameters as given rather than as rounded."""
        return self if dtype == self.centre.dtype else self.source.at(self.centre.to(dtype))


def _select(whole: _Selected, index: Tensor | slice, centre: Tensor) -> _Selected:
    """`whole` with every per-sample field, its own or those of the regions and sets it is made of, indexed."""
    chosen: dict[str, Any] = {}
    for field in fields(whole):  # type: ignore[arg-type]
        value = getattr(whole, field.name)
        if isinstance(value, (PerturbationSet, Region)):
            chosen[field.name] = _select(value, index, centre)
        elif isinstance(value, Tensor) and _is_per_sample(value, whole, centre):
            chosen[field.name] = value[index]
    if isinstance(whole, PerturbationSet):
        return changed(whole, **chosen)
    return replace(whole, **chosen)


def changed(source: _Set, **fields: Any) -> _Set:
    """A copy of a set with other values of some fields, whose numbers were checked when it was made.

    Unlike `replace`, which makes a new set and checks it all again, for each slice of a batch.
    """
    found = copy(source)
    for name, value in fields.items():
        object.__setattr__(found, name, value)
    return found


def _is_per_sample(value: Tensor, whole: PerturbationSet | Region, centre: Tensor) -> bool:
    """Every tensor of a region is; a set's, lined up with the samples, may have one entry for all of them."""
    return isinstance(whole, Region) or (value.dim() == centre.dim() and value.shape[0] == centre.shape[0])


def require_points(found: Tensor, description: str) -> None:
    """Raise EmptySetError, naming the first sample, unless each sample's set `found` `[N]` a point."""
    if not found.all():
        sample = int((~found).nonzero()[0])
        raise EmptySetError(
            f"the perturbation set of sample {sample} is empty ({description}); check the sample, the radius and the "
            "domain, which must be in the same units"
        )


def end_rounding(region: Region) -> Tensor:
    """`[N, *shape]`: how far the ends of a region's enclosure may be off.

    An end is a sum of two rounded numbers, each at most |centre| + |end|, or a rounded end as given. So is the
    centre or half-width made of two ends. Eight units in the last place (half of `eps` each) cover all of it.
    """
    limits = torch.finfo(region.centre.dtype)
    size = region.centre.abs() + region.enclosure().magnitude
    return (4 * limits.eps * size + limits.tiny).detach()


def _check_finite(x: Tensor) -> None:
    if not all_finite(x):
        bad = ~x.isfinite().reshape(x.shape[0], -1).all(1)
        raise InvalidInputError(f"sample {int(bad.nonzero()[0])} holds NaN or infinity; remove or repair it")
