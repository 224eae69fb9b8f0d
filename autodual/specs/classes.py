"""Specifications of classifiers: the label wins (`ClassMargin`), or is among the k largest (`TopK`).

There is one label per sample, or a label map with one at every position of the outputs (`autodual/specs/label_map.py`).
"""

from __future__ import annotations

from abc import abstractmethod
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor

from autodual.errors import InvalidInputError
from autodual.inputs import Labels
from autodual.specs.base import Rows, Specification, flat_outputs, guarded
from autodual.specs.label_map import LabelMap, class_count
from autodual.specs.other_classes import OtherClasses
from autodual.tensors import flat

_Own = TypeVar("_Own", bound="LabelSpecification")


class LabelSpecification(Specification):
    """A comparison of the label's output with those of the other classes, at every position.

    Half-space j is f_label − f_j > 0, in the layout of the outputs, so that values `[*, N, K]` can be read by class and
    position. The label's own row is zero, and so are all rows of a position labelled -100, about which nothing is
    claimed: `margin` skips them. A sample with no other positions has margin NaN.
    """

    ordinal: ClassVar[bool] = True

    labels: Any
    class_axis: int
    label_map: LabelMap

    def __post_init__(self) -> None:
        found = LabelMap.of(self.labels, self.class_axis)
        object.__setattr__(self, "label_map", found)
        object.__setattr__(self, "labels", found.labels)

    def rows(self, outputs: Tensor) -> Rows:
        flattened = flat_outputs(outputs)
        self.label_map.check(outputs)
        here = replace(self.label_map, labels=self.labels.to(outputs.device))
        classes = class_count(outputs.shape, self.label_map.class_axis)
        return Rows(OtherClasses(here, classes, outputs.dtype), torch.zeros_like(flattened))

    def margin(self, values: Tensor) -> Tensor:
        return guarded(self._least(self.position_margins(values)), values)

    def margin_of(self, rows: Rows, outputs: Tensor) -> Tensor:
        """The same from differences of outputs, without the half-spaces' rows.

        Args:
            rows: not needed.
            outputs: as in `Specification.margin_of`.
        """
        scores, own = self.label_map.by_class(outputs), self.label_map.own(outputs.device)
        own = own.expand(*scores.shape[:-4], *own.shape)
        differences = scores.gather(-2, own) - scores
        margins = self._of_classes(differences.scatter(-2, own, torch.inf))
        # As in `margin`: where a difference is NaN or +inf there is no margin, whichever class decides.
        largest = differences.detach().scatter(-2, own, 0).amax(-2)
        return self._least(self.label_map.by_position(margins + 0 * largest))

    def _least(self, margins: Tensor) -> Tensor:
        """The least margin `[*, N]` of the positions `[*, N, *positions]` that count; NaN if there is none."""
        ignored = self.label_map.ignored.to(margins.device)
        if self.labels.dim() == 1:
            return margins.masked_fill(ignored, torch.nan)
        leading = margins.shape[: margins.dim() - self.labels.dim() + 1]
        margins = margins.masked_fill(ignored, torch.inf).reshape(*leading, self.labels.shape[1:].numel())
        least = margins.min(-1).values
        return least.masked_fill(least == torch.inf, torch.nan)

    def position_margins(self, values: Tensor) -> Tensor:
        """The margin of each position, `[*, N, *positions]`: positive only if the statement holds there.

        Args:
            values: bounds (or values) of the half-spaces `[*, N, K]`.

        Returns:
            NaN where nothing is claimed, or a value is NaN or +inf.
        """
        found = self._of_classes(self.label_map.others(values, torch.inf))
        broken = self.label_map.by_class(values.isnan() | values.isposinf()).any(-2)
        margins = self.label_map.by_position(found.masked_fill(broken, torch.nan))
        return margins.masked_fill(self.label_map.ignored.to(values.device), torch.nan)

    def parts(self, values: Tensor) -> Tensor:
        return self.position_margins(values).reshape(*values.shape[:-1], -1)

    def predicted(self, outputs: Tensor) -> Tensor:
        """The classes `[N, *positions]` with the largest outputs.

        Args:
            outputs: `[N, *shape]`.
        """
        return outputs.argmax(self.label_map.class_axis)

    def select(self: _Own, index: Tensor | slice) -> _Own:
        found = copy(self)  # what has been checked is not checked again
        some = self.label_map.select(index.to(self.labels.device) if isinstance(index, Tensor) else index)
        object.__setattr__(found, "label_map", some)
        object.__setattr__(found, "labels", some.labels)
        return found

    @abstractmethod
    def _of_classes(self, values: Tensor) -> Tensor:
        """The margin `[*, N, before, after]` from values by class `[*, N, before, C, after]`, +inf at the label."""


@dataclass(frozen=True, eq=False)
class ClassMargin(LabelSpecification):
    """f_label > f_j for every other class j, at every position.

    Args:
        labels: integers `[N]`, or `[N, *positions]` for outputs `[N, C, *positions]`, -100 where nothing is claimed;
            `[2, 8, 8]` for two samples of 8 × 8 pixels.
        class_axis: the axis of the outputs that holds the classes.

    Raises:
        InvalidInputError: the labels are no integers, or have no sample axis.

    Example:
        >>> import torch
        >>> from autodual.specs import ClassMargin
        >>> goal, outputs = ClassMargin(torch.tensor([0])), torch.tensor([[3.0, 1.0, 2.0]])
        >>> goal.margin(goal.rows(outputs).values(outputs))
        tensor([1.])
    """

    labels: Any
    class_axis: int = 1
    label_map: LabelMap = field(init=False, repr=False)

    def misses(self, outputs: Tensor) -> Tensor:
        """Bool `[N, *positions]`: where a class other than the label has the largest output, or an output is NaN.

        Args:
            outputs: `[N, *shape]`.
        """
        labels = self.label_map
        other = self.predicted(outputs) != labels.labels.to(outputs.device)
        return (other | outputs.isnan().any(labels.class_axis)) & labels.counted.to(outputs.device)

    def suspects(self, rows: Rows, outputs: Tensor) -> Tensor:
        """Where another class than the label, or NaN, is the largest output; at every position, also of ignored ones.

        Args:
            rows: as of `Specification.margin_of`.
            outputs: as of `Specification.margin_of`.
        """
        if type(self) is not ClassMargin:  # whose margin may be another one
            return super().suspects(rows, outputs)
        scores, own = self.label_map.by_class(outputs), self.label_map.own(outputs.device)
        return scores.argmax(-2, keepdim=True) != own

    def _of_classes(self, values: Tensor) -> Tensor:
        return values.min(-2).values

    def describe(self) -> str:
        return f"the label's output is larger than every other{_everywhere(self.labels)}"

    def settings(self) -> dict[str, Any]:
        return {"specification": "class"}


@dataclass(frozen=True, eq=False)
class TopK(LabelSpecification):
    """The label is among the k largest outputs, at every position. A tie counts against it.

    At least C − k of the C − 1 other outputs must be below the label's, so a position's margin is the k-th smallest
    f_label − f_j.

    Args:
        labels: as in `ClassMargin`.
        k: at least 1, and less than the number of classes.
        class_axis: the axis of the outputs that holds the classes.

    Raises:
        InvalidInputError: as for `ClassMargin`, or k is below 1.

    Example:
        >>> import torch
        >>> from autodual.specs import TopK
        >>> goal, outputs = TopK(torch.tensor([0]), 2), torch.tensor([[2.0, 3.0, 1.0]])
        >>> goal.margin(goal.rows(outputs).values(outputs))
        tensor([1.])
    """

    labels: Any
    k: int
    class_axis: int = 1
    label_map: LabelMap = field(init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if type(self.k) is not int or self.k < 1:
            raise InvalidInputError(f"top-k needs a k of at least 1, but k is {self.k!r}")

    def rows(self, outputs: Tensor) -> Rows:
        rows, classes = super().rows(outputs), class_count(outputs.shape, self.label_map.class_axis)
        if self.k >= classes:
            raise InvalidInputError(f"any label is among the {self.k} largest of {classes} outputs; choose a smaller k")
        return rows

    def _of_classes(self, values: Tensor) -> Tensor:
        return values.kthvalue(self.k, -2).values

    def describe(self) -> str:
        return f"the label's output is among the {self.k} largest{_everywhere(self.labels)}"

    def settings(self) -> dict[str, Any]:
        return {"specification": "top-k", "k": self.k}


def all_positive(margins: Tensor, labels: Labels, class_axis: int = 1) -> Tensor:
    """Bool `[N]`: whether every margin is positive and finite, those of the labels themselves excepted.

    Args:
        margins: as `DualNetwork.margins` returns them.
        labels: as `DualNetwork.margins` takes them.
        class_axis: the axis of the margins that holds the classes.

    Example:
        >>> import torch
        >>> from autodual.specs import all_positive
        >>> all_positive(torch.tensor([[0.0, 0.2], [0.0, -0.1]]), torch.tensor([0, 0]))
        tensor([ True, False])
    """
    margin = ClassMargin(labels, class_axis).margin(flat(margins))
    return (margin > 0) & margin.isfinite()


def _everywhere(labels: Tensor) -> str:
    return " at every position" if labels.dim() > 1 else ""
