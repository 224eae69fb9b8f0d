"""Label maps: one class at every position of an output, such as a pixel or a step in time.

An ordinary classifier has one position a sample, and no axis for it: labels `[N]` for outputs `[N, C]`. A per-pixel
classifier has labels `[N, H, W]` for outputs `[N, C, H, W]`. In general, labels have the shape of the outputs without
the axis that holds the classes, which is axis 1 unless said otherwise, as for `torch.nn.functional.cross_entropy`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy
import torch
from torch import Tensor

from autodual.errors import InvalidInputError
from autodual.policies import IGNORED
from autodual.tensors import unfit


@dataclass(frozen=True, eq=False)
class LabelMap:
    """A class at every position: `labels` `[N, *positions]`, int64, `IGNORED` where nothing is claimed.

    class_axis: which axis of the outputs `[N, *shape]` holds the classes, from 1 or from the end.
    """

    labels: Tensor
    class_axis: int = 1

    @classmethod
    def of(cls, labels: Any, class_axis: int = 1) -> LabelMap:
        """Labels as a user gives them: a tensor, an array or lists of integers.

        Raises InvalidInputError if they are something else, or have no sample axis.
        """
        tensor = _integers(labels)
        if tensor.dim() == 0:
            raise InvalidInputError(
                "labels must have the shape [N], one per sample, or [N, *positions], but are a single number"
            )
        return cls(tensor, checked_axis(class_axis, tensor.dim() + 1))

    @cached_property
    def counted(self) -> Tensor:
        """Which positions `[N, *positions]` something is claimed of, bool."""
        return self.labels != IGNORED

    def select(self, index: Tensor | slice) -> LabelMap:
        return LabelMap(self.labels[index], self.class_axis)

    def check(self, outputs: Tensor) -> None:
        """Raise InvalidInputError unless there is one class of the outputs `[N, *shape]` a position."""
        classes = class_count(outputs.shape, self.class_axis)
        expected = [extent for axis, extent in enumerate(outputs.shape) if axis != self.class_axis]
        found = list(self.labels.shape)
        if len(found) == len(expected) and found[0] != expected[0]:
            raise InvalidInputError(f"there are {found[0]} labels for {expected[0]} samples; give one per sample")
        if found != expected:
            raise InvalidInputError(
                f"the labels have the shape {found}, but outputs {list(outputs.shape)} with their classes on axis "
                f"{self.class_axis} need {expected}; class_axis says which axis holds the classes"
            )
        bad = self.counted & ((self.labels < 0) | (self.labels >= classes))
        if bad.any():
            sample, *position = bad.nonzero()[0].tolist()
            where = f" at position {position}" if position else ""
            raise InvalidInputError(
                f"the label of sample {sample}{where} is {int(self.labels[bad][0])}, but the network has the classes 0 "
                f"to {classes - 1}; {IGNORED} marks what is to be ignored"
            )

    # --- outputs by class --------------------------------------------------------------------------------------------

    @property
    def _after(self) -> int:
        """How many numbers follow one class's before the next class's, in flattened outputs."""
        return self.labels.shape[self.class_axis :].numel()

    def by_class(self, values: Tensor) -> Tensor:
        """Values `[*, N, K]` of flattened outputs as `[*, N, before, C, after]`."""
        before, after = self.labels.shape[1 : self.class_axis].numel(), self._after
        return values.reshape(*values.shape[:-1], before, values.shape[-1] // (before * after), after)

    def own(self, device: torch.device) -> Tensor:
        """Labels as indices into values by class, `[N, before, 1, after]`; class 0 where they are ignored."""
        before, after = self.labels.shape[1 : self.class_axis].numel(), self._after
        known = self.labels.masked_fill(~self.counted, 0).to(device)
        return known.reshape(known.shape[0], before, 1, after)

    def others(self, values: Tensor, fill: float) -> Tensor:
        """Values `[*, N, K]` by class, with `fill` at the labels' own and wherever nothing is claimed."""
        found = self.by_class(values)
        own = torch.zeros(found.shape[-4:], dtype=torch.bool, device=values.device)
        own = own.scatter(-2, self.own(values.device), True)
        ignored = ~self.counted.to(values.device).reshape(own.shape[0], own.shape[1], 1, own.shape[3])
        return found.masked_fill(own | ignored, fill)

    def by_position(self, values: Tensor) -> Tensor:
        """One value a position, `[*, N, before, after]`, as `[*, N, *positions]`."""
        return values.reshape(*values.shape[:-3], *self.labels.shape)


def class_count(shape: torch.Size, class_axis: int) -> int:
    """How many classes outputs `[N, *shape]` tell apart; InvalidInputError where there is only one."""
    if len(shape) < 2 or shape[checked_axis(class_axis, len(shape))] == 1:
        raise InvalidInputError(
            "with a single output there is no other class to compare with; give a specification instead of labels "
            "(spec=): a box of outputs, a deviation or a half-space such as Formula('y0 > 0')"
        )
    return shape[class_axis]


def checked_axis(class_axis: Any, axes: int) -> int:
    """The axis counted from the front; InvalidInputError unless outputs with so many axes have it after the batch's."""
    if type(class_axis) is not int:
        raise InvalidInputError(f"class_axis must be a whole number, but is {class_axis!r}")
    found = class_axis + axes if class_axis < 0 else class_axis
    if not 1 <= found < axes:
        raise InvalidInputError(
            f"class_axis is {class_axis}, but the outputs have {axes} axes, the first of which is the batch's"
        )
    return found


def _integers(labels: Any) -> Tensor:
    if isinstance(labels, numpy.ndarray) and labels.dtype.kind in "iu":
        return torch.from_numpy(labels.astype(numpy.int64))
    try:
        tensor = torch.as_tensor(labels)
    except (RuntimeError, TypeError, ValueError, OverflowError):
        raise InvalidInputError(f"labels must be integers, one per sample, not {type(labels).__name__}") from None
    if reason := unfit(tensor):
        raise InvalidInputError(f"the tensor of labels {reason}")
    if tensor.is_floating_point() or tensor.dtype == torch.bool:
        raise InvalidInputError(f"labels must be integers, but have the dtype {tensor.dtype}")
    return tensor.long()
