"""One operator of a file with a fixed batch, and where the samples are in each of its operands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from autodual.frontend.onnx.attributes import Attributes, whole_numbers
from autodual.frontend.onnx.operands import Static

if TYPE_CHECKING:
    import onnx


class Mixing(Exception):
    """An operator lets samples influence each other, or no rule shows that it does not; the message says why."""


@dataclass(frozen=True)
class Layout:
    """The axis that counts the samples has `after` axes behind it, and `outer` · batch · `inner` entries."""

    after: int
    outer: int = 1
    inner: int = 1


@dataclass(frozen=True, eq=False)
class Batched:
    """A value that depends on the input, with the file's shape; `layout` says which axis counts the samples."""

    shape: tuple[int, ...]
    dtype: np.dtype
    layout: Layout

    @property
    def axis(self) -> int:
        """The axis that counts the samples."""
        return len(self.shape) - 1 - self.layout.after


Operand: TypeAlias = "Batched | Static | None"


@dataclass(eq=False)
class Operation:
    """One operator with at least one batched operand.

    Attributes:
        node: a copy of the file's operator, for one sample once a rule has changed what names the batch size.
        operands: in the order of the ONNX specification; None where one is left out.
        shapes: those of its results in the file.
        batch: how many samples the file computes at once.
        replaced: constant operands for one sample, by their place, where they differ from the file's.
    """

    node: onnx.NodeProto
    attributes: Attributes
    operands: Sequence[Operand]
    shapes: Sequence[tuple[int, ...]]
    batch: int
    replaced: dict[int, np.ndarray] = field(default_factory=dict)

    # --- operands ----------------------------------------------------------------------------------------------------

    def operand(self, place: int) -> Operand:
        """An operand, or None where it is left out."""
        return self.operands[place] if place < len(self.operands) else None

    def only(self, place: int = 0) -> Batched:
        """The one operand that depends on the input, which must be that at `place`."""
        found = self.operand(place)
        others = [value for at, value in enumerate(self.operands) if at != place and isinstance(value, Batched)]
        if not isinstance(found, Batched) or others:
            raise Mixing("another operand of it than usual depends on the input")
        return found

    def axes(self, place: int, name: str = "axes") -> tuple[int, ...] | None:
        """Whole numbers, a constant operand in newer operator sets and an attribute in old ones; None if absent."""
        value = self.operand(place)
        if isinstance(value, Batched):
            raise Mixing(f"its {name} depend on the input")
        return self.attributes.axes(None, name) if value is None else whole_numbers(value, name)

    # --- the axis of the samples -------------------------------------------------------------------------------------

    def entries(self, layout: Layout) -> int:
        """The extent of the samples' axis in the file."""
        return layout.outer * self.batch * layout.inner

    def for_one(self, shape: Sequence[int], layout: Layout) -> tuple[int, ...]:
        """A shape of the file for one sample."""
        axis = len(shape) - 1 - layout.after
        if axis < 0 or shape[axis] != self.entries(layout):
            raise Mixing("its result does not hold all samples side by side")
        return (*shape[:axis], layout.outer * layout.inner, *shape[axis + 1 :])

    def narrow(self, place: int, axis: int, layout: Layout) -> None:
        """Give a constant operand the extent of one sample along an axis that counts them, if it is not 1 there."""
        value = self.operands[place]
        assert isinstance(value, Static)
        array = value.array
        if not 0 <= axis < array.ndim or array.shape[axis] == 1:
            return
        if array.shape[axis] != self.entries(layout):
            raise Mixing("a constant operand of it fits neither one sample nor all")
        split = array.reshape(*array.shape[:axis], layout.outer, self.batch, layout.inner, *array.shape[axis + 1 :])
        first = np.take(split, [0], axis=axis + 1)
        if not bool((split == first).all()):
            raise Mixing("a constant operand of it is not the same for all samples")
        one = (*array.shape[:axis], layout.outer * layout.inner, *array.shape[axis + 1 :])
        self.replaced[place] = first.reshape(one)

    def aligned(self) -> Layout:
        """The common layout of operands that are broadcast against each other from their last axes."""
        layouts = {value.layout for value in self.operands if isinstance(value, Batched)}
        if len(layouts) != 1:
            raise Mixing("it joins the samples of one operand with other axes of another")
        (layout,) = layouts
        for place, value in enumerate(self.operands):
            if isinstance(value, Static):
                self.narrow(place, value.array.ndim - 1 - layout.after, layout)
        return layout

    def reshaped(self, layout: Layout) -> Layout:
        """Where the samples are once the same numbers have the shape of the first result."""
        (value, shape) = (self.only(), self.shapes[0])
        stride = layout.inner * prod(value.shape[value.axis + 1 :])
        after = 1
        for axis in range(len(shape) - 1, -1, -1):
            if after <= stride < after * shape[axis]:
                outer, rest = divmod(shape[axis], self.batch * (stride // after))
                if stride % after or rest:
                    break
                return Layout(len(shape) - 1 - axis, outer, stride // after)
            after *= shape[axis]
        raise Mixing("it makes axes of which none counts the samples")
