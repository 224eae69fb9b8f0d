"""Label maps: one class at every position of an output, such as a pixel or a step in time.

An ordinary classifier has labels `[N]` for outputs `[N, C]`, one position per sample. A per-pixel classifier has labels
`[N, H, W]` for outputs `[N, C, H, W]`. In general, labels have the shape of the outputs without the class axis, which
is axis 1 by default, as in `torch.nn.functional.cross_entropy`.
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
from autodual.requirements import checking
from autodual.tensors import unfit


@dataclass(frozen=True, eq=False)
class LabelMap:
    """A class at every position: `labels` `[N, *positions]`, int64, `IGNORED` where nothing is claimed.

    Args:
        labels: see above.
        class_axis: the axis of the outputs `[N, *shape]` that holds the classes.

    Example:
        >>> import torch
        >>> from autodual.specs import LabelMap
        >>> LabelMap.of([[0, 1, -100]]).counted
        tensor([[ True,  True, False]])
    """

    labels: Tensor
    class_axis: int = 1

    @classmethod
    def of(cls, labels: Any, class_axis: int = 1) -> LabelMap:
        """The label map of what a user gave.

        Args:
            labels: integers in a tensor, an array or lists, with a sample axis.
            class_axis: counted from 1, or from the end if negative.

        Raises:
            InvalidInputError: the labels are something else, or the outputs have no such axis.

        Example:
            >>> from autodual.specs import LabelMap
            >>> LabelMap.of([[0, 1]], -1).class_axis
            2
        """
        tensor = _integers(labels)
        if tensor.dim() == 0:
            raise InvalidInputError(
                "labels must have the shape [N], one per sample, or [N, *positions], but are a single number"
            )
        return cls(tensor, checked_axis(class_axis, tensor.dim() + 1))

    @cached_property
    def counted(self) -> Tensor:
        """Bool `[N, *positions]`: the positions about which something is claimed."""
        return self.labels != IGNORED

    @cached_property
    def ignored(self) -> Tensor:
        """Bool `[N, *positions]`: the positions about which nothing is claimed."""
        return ~self.counted

    def select(self, index: Tensor | slice) -> LabelMap:
        """The label map of some samples.

        Args:
            index: a LongTensor, a mask or a slice.
        """
        found = LabelMap(self.labels[index], self.class_axis)
        if "extremes" in vars(self):
            vars(found)["extremes"] = self.extremes  # some of them are no further apart
        return found

    @cached_property
    def extremes(self) -> tuple[int, int]:
        """The least and the greatest label that is counted, or numbers further apart; (0, 0) if none is counted."""
        if self.labels.numel() == 0:
            return 0, 0
        # What is not counted is taken for the greatest label, which changes neither end.
        largest = self.labels.amax().clamp(min=0)
        least, greatest = torch.stack(torch.where(self.counted, self.labels, largest).aminmax()).tolist()
        return least, greatest

    def check(self, outputs: Tensor) -> None:
        """Check that the labels have the shape, and are classes, of the outputs.

        Args:
            outputs: `[N, *shape]`.

        Raises:
            InvalidInputError: they do not, or there is only one class.
        """
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
        if not checking():
            return
        least, greatest = self.extremes
        if least < 0 or greatest >= classes:
            bad = self.counted & ((self.labels < 0) | (self.labels >= classes))
            sample, *position = bad.nonzero()[0].tolist()
            where = f" at position {position}" if position else ""
            raise InvalidInputError(
                f"the label of sample {sample}{where} is {int(self.labels[bad][0])}, but the network has the classes 0 "
                f"to {classes - 1}; {IGNORED} marks what is to be ignored"
            )

    # --- outputs by class --------------------------------------------------------------------------------------------

    @property
    def _after(self) -> int:
        """The stride of the class axis in flattened outputs."""
        return self.labels.shape[self.class_axis :].numel()

    def by_class(self, values: Tensor) -> Tensor:
        """Values with an axis of classes, `[*, N, before, C, after]`.

        Args:
            values: of flattened outputs, `[*, N, K]`.
        """
        before, after = self.labels.shape[1 : self.class_axis].numel(), self._after
        return values.reshape(*values.shape[:-1], before, values.shape[-1] // (before * after), after)

    def own(self, device: torch.device) -> Tensor:
        """Labels as indices into values by class, `[N, before, 1, after]`; class 0 at ignored positions.

        Args:
            device: of the indices.
        """
        return self._known.to(device)

    @cached_property
    def _known(self) -> Tensor:
        known = self.labels.masked_fill(~self.counted, 0)
        return known.reshape(known.shape[0], self.labels.shape[1 : self.class_axis].numel(), 1, self._after)

    def masks(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """1 at the labels and else 0, and 1 at the other classes and else 0, `[N, before, C, after]`.

        Both are 0 at positions about which nothing is claimed.

        Args:
            values: of flattened outputs, `[N, K]`, whose dtype and device the two have.
        """
        found, like = self._masks, (values.shape[-1], values.dtype, values.device)
        if like not in found:
            counted = self.counted.reshape(self._known.shape).to(values)
            labels = torch.zeros_like(self.by_class(values)).scatter(-2, self.own(values.device), counted)
            found[like] = labels, counted - labels
        return found[like]

    @cached_property
    def _masks(self) -> dict[tuple[int, torch.dtype, torch.device], tuple[Tensor, Tensor]]:
        return {}

    def others(self, values: Tensor, fill: float) -> Tensor:
        """Values by class, with `fill` at the labels and at ignored positions.

        Args:
            values: of flattened outputs, `[*, N, K]`.
            fill: such as inf.
        """
        found = self.by_class(values)
        own = torch.zeros(found.shape[-4:], dtype=torch.bool, device=values.device)
        own = own.scatter(-2, self.own(values.device), True)
        ignored = self.ignored.to(values.device).reshape(own.shape[0], own.shape[1], 1, own.shape[3])
        return found.masked_fill(own | ignored, fill)

    def by_position(self, values: Tensor) -> Tensor:
        """One value per position, `[*, N, *positions]`.

        Args:
            values: `[*, N, before, after]`.
        """
        return values.reshape(*values.shape[:-3], *self.labels.shape)

    def total(self, values: Tensor) -> Tensor:
        """Values summed over the positions of which something is claimed, `[N]`.

        Args:
            values: `[N, before, 1, after]`.
        """
        counted = self.counted.to(values.device)
        if self.labels.dim() == 1:
            return torch.where(counted, values.flatten(), 0)
        return torch.where(counted, self.by_position(values.squeeze(-2)), 0).flatten(1).sum(1)


def class_count(shape: torch.Size, class_axis: int) -> int:
    """The number of classes of outputs `[N, *shape]`; InvalidInputError if there is only one."""
    if len(shape) < 2 or shape[checked_axis(class_axis, len(shape))] == 1:
        raise InvalidInputError(
            "with a single output there is no other class to compare with; give a specification instead of labels "
            "(spec=): a box of outputs, a deviation or a half-space such as Formula('y0 > 0')"
        )
    return shape[class_axis]


def checked_axis(class_axis: Any, axes: int) -> int:
    """The axis counted from the front; InvalidInputError unless it is one of `axes` axes, the batch axis excepted."""
    if type(class_axis) is not int:
        raise InvalidInputError(f"class_axis must be a whole number, but is {class_axis!r}")
    found = class_axis + axes if class_axis < 0 else class_axis
    if not 1 <= found < axes:
        raise InvalidInputError(
            f"class_axis is {class_axis}, but the outputs have {axes} axes, the first of which is the batch's"
        )
    return found


def _what(labels: Any) -> str:
    """The type of something, and that of what a list of it holds first."""
    first = labels[0] if isinstance(labels, (list, tuple)) and labels else None
    return type(labels).__name__ + ("" if first is None else f" of {type(first).__name__}")


def _integers(labels: Any) -> Tensor:
    if isinstance(labels, numpy.ndarray) and labels.dtype.kind in "iu":
        return torch.from_numpy(labels.astype(numpy.int64))
    try:
        tensor = torch.as_tensor(labels)
    except (RuntimeError, TypeError, ValueError, OverflowError):
        raise InvalidInputError(f"labels must be integers, one per sample, not {_what(labels)}") from None
    if reason := unfit(tensor):
        raise InvalidInputError(f"the tensor of labels {reason}")
    if tensor.is_floating_point() or tensor.dtype == torch.bool:
        raise InvalidInputError(f"labels must be integers, but have the dtype {tensor.dtype}")
    return tensor.long()
