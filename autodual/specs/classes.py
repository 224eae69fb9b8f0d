"""Specifications of classifiers: the label wins (`ClassMargin`), or is certainly among the k largest (`TopK`)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from autodual.errors import InvalidInputError
from autodual.specs.base import Rows, Specification, check_outputs, guarded


@dataclass(frozen=True, eq=False)
class ClassMargin(Specification):
    """f_label > f_j for every other class j; `labels` `[N]` are integers.

    Half-space j is f_label − f_j > 0, in the order of the classes. The label's own entry is a zero row, which
    `margin` passes over, so that values are `[N, K]` and can be read by class.
    """

    labels: Tensor

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", _checked_labels(self.labels))

    def rows(self, outputs: Tensor) -> Rows:
        return _label_rows(self.labels, outputs)

    def margin(self, values: Tensor) -> Tensor:
        return guarded(_without_label(values, self.labels).min(-1).values, values)

    def select(self, index: Tensor | slice) -> ClassMargin:
        return replace(self, labels=self.labels[index])

    def describe(self) -> str:
        return "the label's output is larger than every other"

    def settings(self) -> dict[str, Any]:
        return {"specification": "class"}


@dataclass(frozen=True, eq=False)
class OtherClasses:
    """f_label − f_j for every class j but the label itself, whose own row would be zero: one less to bound.

    `labels` `[N]` are integers below `classes`.
    """

    labels: Tensor
    classes: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", _checked_labels(self.labels))

    def objective(self, x: Tensor) -> Tensor:
        """The rows `[N, K − 1, K]` for the samples x `[N, *shape]`, in the order of the classes and in x's dtype.

        Raises InvalidInputError unless there is one label below `classes` a sample.
        """
        whole = _label_rows(self.labels, x.new_zeros(x.shape[0], self.classes))
        return whole.objective.take_along_dim(self._others.unsqueeze(2), 1)

    def margins(self, lower: Tensor) -> Tensor:
        """Bounds `[N, K − 1]` of these rows by class, `[N, K]`; the label's own entry is 0 (equation 3.24)."""
        return lower.new_zeros(lower.shape[0], self.classes).scatter(1, self._others, lower)

    @cached_property
    def _others(self) -> Tensor:
        others = torch.arange(self.classes - 1, device=self.labels.device).expand(self.labels.shape[0], -1)
        return others + (others >= self.labels.unsqueeze(1))


def all_positive(margins: Tensor, labels: Tensor) -> Tensor:
    """Where every margin `[N, K]` but the label's own is positive, bool `[N]`; NaN and infinity are not."""
    return ((margins > 0) & margins.isfinite()).scatter(1, labels.unsqueeze(1), True).all(1)


@dataclass(frozen=True, eq=False)
class TopK(Specification):
    """The label is certainly among the k largest outputs: fewer than k others reach it. A tie counts against it.

    Half-spaces are those of `ClassMargin`. At least K − k of the K − 1 others must be below the label, so the margin
    is the k-th smallest.
    """

    labels: Tensor
    k: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", _checked_labels(self.labels))
        if self.k < 1:
            raise InvalidInputError(f"top-k needs a k of at least 1, but k is {self.k}")

    def rows(self, outputs: Tensor) -> Rows:
        rows = _label_rows(self.labels, outputs)
        if self.k >= outputs.shape[1]:
            raise InvalidInputError(
                f"any label is among the {self.k} largest of {outputs.shape[1]} outputs; choose a smaller k"
            )
        return rows

    def margin(self, values: Tensor) -> Tensor:
        return guarded(_without_label(values, self.labels).kthvalue(self.k, -1).values, values)

    def select(self, index: Tensor | slice) -> TopK:
        return replace(self, labels=self.labels[index])

    def describe(self) -> str:
        return f"the label's output is among the {self.k} largest"

    def settings(self) -> dict[str, Any]:
        return {"specification": "top-k", "k": self.k}


def _checked_labels(labels: Any) -> Tensor:
    try:
        tensor = torch.as_tensor(labels)
    except (RuntimeError, TypeError, ValueError):
        raise InvalidInputError(f"labels must be integers, one per sample, not {type(labels).__name__}") from None
    if tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool:
        raise InvalidInputError(f"labels must be integers, but have the dtype {tensor.dtype}")
    if tensor.dim() != 1:
        raise InvalidInputError(f"labels must have the shape [N], one per sample, but have {list(tensor.shape)}")
    return tensor.long()


def _label_rows(labels: Tensor, outputs: Tensor) -> Rows:
    check_outputs(outputs)
    count, classes = outputs.shape
    if classes == 1:
        raise InvalidInputError(
            "with a single output there is no other class to compare with; use a box of outputs, a deviation or a "
            "half-space such as 'y0 > 0' instead"
        )
    if labels.shape[0] != count:
        raise InvalidInputError(f"there are {labels.shape[0]} labels for {count} samples; give one per sample")
    bad = (labels < 0) | (labels >= classes)
    if bad.any():
        sample = int(bad.nonzero()[0])
        raise InvalidInputError(
            f"the label of sample {sample} is {int(labels[sample])}, but the network has the classes 0 to {classes - 1}"
        )
    own = functional.one_hot(labels.to(outputs.device), classes).to(outputs.dtype)
    others = torch.eye(classes, dtype=outputs.dtype, device=outputs.device)
    return Rows(own.unsqueeze(1) - others, outputs.new_zeros(count, classes))


def _without_label(values: Tensor, labels: Tensor) -> Tensor:
    """`values` `[*, N, K]` with +inf at the labels, which is never among the smallest."""
    own = functional.one_hot(labels.to(values.device), values.shape[-1]).bool()
    return torch.where(own, torch.inf, values)
