"""A perturbation set as a user writes it ("every input within 0.1"), and the same set placed around given samples.

Neither knows of networks. `regions` says what a placed set offers to bounds (`Support`), to attacks (`Searchable`), or
to both (`Region`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from autodual.errors import EmptySetError, InvalidInputError
from autodual.inputs import Samples, sample_tensor
from autodual.requirements import checked_together, require
from autodual.tensors import finite

_Selected = TypeVar("_Selected", bound="PerturbationSet | PlacedSet")
_Placed = TypeVar("_Placed", bound="PlacedSet")
_Set = TypeVar("_Set", bound="PerturbationSet")


class PerturbationSet(ABC):
    """A set of inputs around each sample: a frozen dataclass of the numbers and tensors that the user gave."""

    def at(self, x: Samples) -> Any:
        """The set around each of the samples x `[N, *shape]`, in x's dtype and on its device.

        Args:
            x: the samples, a tensor or an array.

        Returns:
            A `PlacedSet`; for every set of this package a `Region`, which serves both bounds and attacks.

        Raises:
            InvalidInputError: x is not finite and floating, or a parameter of the set does not fit it.
            EmptySetError: the set of some sample holds no point.

        Example:
            >>> import autodual, torch
            >>> autodual.LinfBall(0.5).at(torch.tensor([[1.0, 2.0]])).enclosure().upper
            tensor([[1.5000, 2.5000]])
        """
        x = sample_tensor(x)
        with checked_together():
            _check_finite(x)
            return self.bind(x)

    @abstractmethod
    def bind(self, x: Tensor) -> PlacedSet:
        """As `at`, for samples that have been checked.

        Args:
            x: finite floating samples `[N, *shape]`.
        """

    def scaled(self, factor: float) -> PerturbationSet:
        """The set with a radius that is `factor` times its own; its domain stays.

        If y is in `scaled(1 - factor)` around x, and z in `scaled(factor)` around y, then z is in the set around x,
        unless the set's own docstring says otherwise.

        Args:
            factor: what the radius is multiplied by.

        Raises:
            InvalidInputError: the set has no radius, or the factor is negative or infinite.

        Example:
            >>> import autodual
            >>> autodual.LinfBall(0.5).scaled(0.5).describe()
            'l∞ ball of radius 0.25, unclipped'
        """
        raise InvalidInputError(f"this set has no radius to scale: {self.describe()}; use a norm ball")

    def members(self) -> tuple[PerturbationSet, ...]:
        """The sets whose union this is: itself alone, unless it is made of several.

        What holds over every member holds over the union, so certificates and losses look at one member at a time.
        """
        return (self,)

    def for_data(self, shape: Sequence[int], count: int) -> PerturbationSet:
        """The set for a data set: itself, unless it has numbers of its own for each sample there.

        Args:
            shape: of one sample.
            count: how many samples there are.

        Raises:
            DataError: the set's numbers are not those of such a data set.
        """
        return self

    def of_samples(self, indices: Tensor) -> PerturbationSet:
        """The set for some samples of the data set of `for_data`.

        Args:
            indices: `[N]` long, of the samples that the set will be placed around.
        """
        return self

    @property
    def neighbourhood(self) -> bool:
        """Whether z is in the set around y if and only if y is in the set around z, for all y and z of the domain.

        True of norm balls; False, the default, is always safe.
        """
        return False

    def symmetric(self, x: Tensor) -> bool:
        """Whether the set is a neighbourhood with the same parameters for all samples.

        Args:
            x: the samples `[N, *shape]`.
        """
        return False

    @abstractmethod
    def describe(self) -> str:
        """The set in words, including its domain."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """The set as plain values that JSON can hold; several numbers are given by their least and greatest."""


def perturbation_set(ball: Any) -> PerturbationSet:
    """`ball` itself, checked to be a perturbation set.

    Args:
        ball: anything.

    Raises:
        InvalidInputError: `ball` is no perturbation set.

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

    Every further tensor field has one entry per sample.

    Args:
        source: the set with its parameters as given, aligned with the samples.
        centre: the nominal samples `[N, *shape]`, which need not lie in the set.
    """

    source: PerturbationSet
    centre: Tensor

    @property
    def count(self) -> int:
        """The number N of samples."""
        return self.centre.shape[0]

    @property
    def shape(self) -> torch.Size:
        """The shape of one sample."""
        return self.centre.shape[1:]

    def per_feature(self, values: Tensor) -> Tensor:
        """Values shaped to broadcast to samples, `[*, N, 1, …, 1]`.

        Args:
            values: per sample, `[*, N]`.
        """
        return values.reshape(*values.shape, *[1] * len(self.shape))

    def select(self: _Placed, index: Tensor | slice) -> _Placed:
        """The set around some of the samples.

        Args:
            index: a LongTensor, a mask or a slice.
        """
        return _select(self, index, self.centre)

    def to(self: _Placed, dtype: torch.dtype) -> _Placed:
        """The same set in another dtype, made from the parameters as given rather than as rounded.

        Args:
            dtype: a floating one.
        """
        return self if dtype == self.centre.dtype else self.source.at(self.centre.to(dtype))


def _select(whole: _Selected, index: Tensor | slice, centre: Tensor) -> _Selected:
    """`whole` with every per-sample field indexed, in the sets that it is made of too."""
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
    """A copy of a set with other values of some fields, which are not checked again.

    `replace` would run the checks of `__post_init__` for each slice of a batch.
    """
    found = copy(source)
    for name, value in fields.items():
        object.__setattr__(found, name, value)
    return found


def _is_per_sample(value: Tensor, whole: PerturbationSet | PlacedSet, centre: Tensor) -> bool:
    """True of every tensor of a placed set; one of a written set may have one entry that all samples share."""
    return isinstance(whole, PlacedSet) or (value.dim() == centre.dim() and value.shape[0] == centre.shape[0])


def require_points(found: Tensor, source: PerturbationSet) -> None:
    """Raise EmptySetError, naming the set and the first empty sample, unless `found` `[N]` is true throughout."""

    def empty() -> EmptySetError:
        sample = int((~found).nonzero()[0])
        return EmptySetError(
            f"the perturbation set of sample {sample} is empty ({source.describe()}); check the sample, the radius and "
            "the domain, which must be in the same units"
        )

    require(found.all(), empty)


def _check_finite(x: Tensor) -> None:
    def broken() -> InvalidInputError:
        bad = ~x.isfinite().reshape(x.shape[0], -1).all(1)
        return InvalidInputError(f"sample {int(bad.nonzero()[0])} holds NaN or infinity; remove or repair it")

    require(finite(x), broken)
