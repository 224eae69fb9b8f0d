"""A perturbation set as a user writes it down ("every input within 0.1"), and the same placed around given samples.

Neither knows of networks. What a placed set can be asked is in `regions`: by bounds (`Support`), by attacks
(`Searchable`), or by both (`Region`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from copy import copy
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from autodual.errors import EmptySetError, InvalidInputError
from autodual.inputs import Samples, sample_tensor
from autodual.tensors import all_finite

_Selected = TypeVar("_Selected", bound="PerturbationSet | PlacedSet")
_Placed = TypeVar("_Placed", bound="PlacedSet")
_Set = TypeVar("_Set", bound="PerturbationSet")


class PerturbationSet(ABC):
    """A set of inputs around each sample; a frozen dataclass of numbers and tensors as the user gave them."""

    def at(self, x: Samples) -> Any:
        """The set around each of the samples x `[N, *shape]`, in x's dtype and on its device.

        Args:
            x: the samples, a tensor or an array.

        Returns:
            A `PlacedSet`; of all sets of this package a `Region`, which has everything that bounds and attacks need.

        Raises:
            InvalidInputError: x is not finite and floating, or a parameter of the set does not fit it.
            EmptySetError: the set of some sample holds no point.

        Example:
            >>> import autodual, torch
            >>> autodual.LinfBall(0.5).at(torch.tensor([[1.0, 2.0]])).enclosure().upper
            tensor([[1.5000, 2.5000]])
        """
        x = sample_tensor(x)
        _check_finite(x)
        return self.bind(x)

    @abstractmethod
    def bind(self, x: Tensor) -> PlacedSet:
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
    """What a caller gave as the set, if it is one.

    Args:
        ball: anything.

    Raises:
        InvalidInputError: it is no perturbation set.

    Example:
        >>> import autodual
        >>> from autodual.perturbations import perturbation_set
        >>> perturbation_set(autodual.LinfBall(0.5)).describe()
        'l∞ ball of radius 0.5, unclipped'
    """
    if not isinstance(ball, PerturbationSet):
        raise InvalidInputError(f"ball must be a perturbation set, such as autodual.LinfBall(0.1), but is {ball!r}")
    return ball


@dataclass(frozen=True, eq=False)
class PlacedSet(ABC):
    """A perturbation set around N samples; all tensors have the dtype and device of `centre`.

    `source` is the set with its parameters as given and lined up with the samples; `centre` `[N, *shape]` are the
    nominal samples, which need not lie in the set. Every further field that is a tensor has one entry a sample.
    """

    source: PerturbationSet
    centre: Tensor

    @property
    def count(self) -> int:
        """N."""
        return self.centre.shape[0]

    @property
    def shape(self) -> torch.Size:
        """That of one sample."""
        return self.centre.shape[1:]

    def per_feature(self, values: Tensor) -> Tensor:
        """`[*, N]` as `[*, N, 1, …, 1]`."""
        return values.reshape(*values.shape, *[1] * len(self.shape))

    def select(self: _Placed, index: Tensor | slice) -> _Placed:
        """The set around some of the samples, by a LongTensor, a mask or a slice."""
        return _select(self, index, self.centre)

    def to(self: _Placed, dtype: torch.dtype) -> _Placed:
        """The same set in another dtype, from its parameters as given rather than as rounded."""
        return self if dtype == self.centre.dtype else self.source.at(self.centre.to(dtype))


def _select(whole: _Selected, index: Tensor | slice, centre: Tensor) -> _Selected:
    """`whole` with every per-sample field, its own or those of the sets that it is made of, indexed."""
    chosen: dict[str, Any] = {}
    for field in fields(whole):  # type: ignore[arg-type]
        value = getattr(whole, field.name)
        if isinstance(value, (PerturbationSet, PlacedSet)):
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


def _is_per_sample(value: Tensor, whole: PerturbationSet | PlacedSet, centre: Tensor) -> bool:
    """Every tensor of a placed set is; a written set's, lined up with the samples, may have one entry for them all."""
    return isinstance(whole, PlacedSet) or (value.dim() == centre.dim() and value.shape[0] == centre.shape[0])


def require_points(found: Tensor, description: str) -> None:
    """Raise EmptySetError, naming the first sample, unless each sample's set `found` `[N]` a point."""
    if not found.all():
        sample = int((~found).nonzero()[0])
        raise EmptySetError(
            f"the perturbation set of sample {sample} is empty ({description}); check the sample, the radius and the "
            "domain, which must be in the same units"
        )


def _check_finite(x: Tensor) -> None:
    if not all_finite(x):
        bad = ~x.isfinite().reshape(x.shape[0], -1).all(1)
        raise InvalidInputError(f"sample {int(bad.nonzero()[0])} holds NaN or infinity; remove or repair it")
