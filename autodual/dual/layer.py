"""What a dual layer must do: the contract between op rules and the bounds engine.

A layer is one op of the primal network turned around for one call: it holds the evaluated weights, or the relaxation
over this call's bounds, and no other state. In the notation of Theorem 3, `pull` is g and `objective` is -h.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from autodual.dual.rows import Rows
from autodual.interval import Interval


@dataclass(frozen=True)
class Contribution:
    """What a layer adds to each row's bounds: `centre - width` to the lower one, `centre + width` to the upper.

    Both are `[G or 1, K]`, or None for zero; `width` is never negative.
    """

    centre: Tensor | None = None
    width: Tensor | None = None


NOTHING = Contribution()


class DualLayer(ABC):
    """The dual of one node, for one call."""

    #: Whether `pull` takes rows that carry a window; the engine densifies them otherwise.
    windowed: bool = False
    #: Whether a unit reads only a spatial neighbourhood of its input, so that rows which start behind it stay small.
    local: bool = False
    #: Whether it treats all positions alike, so that rows can be pulled before their windows have positions.
    uniform: bool = False
    #: Whether the layer differs from sample to sample, so that rows can no longer be shared.
    per_sample: bool = False
    #: Whether one pull serves lower and upper bounds (affine ops, parallel relaxations).
    linear: bool = True

    @abstractmethod
    def pull(self, rows: Rows) -> tuple[Rows, ...]:
        """Rows at the node's output turned into rows at each of its inputs (g in Theorem 3)."""

    @abstractmethod
    def objective(self, rows: Rows) -> Contribution:
        """What rows at the node's output pay for the node's constant term or relaxation (-h in Theorem 3)."""

    def gain(self, rows: Rows) -> Tensor | None:
        """What the lower bound of each row gains, `[G or 1, K]`, for callers that need no upper one; None for zero."""
        found = self.objective(rows)
        if found.width is None:
            return found.centre
        return -found.width if found.centre is None else found.centre - found.width

    @abstractmethod
    def interval(self, inputs: Sequence[Interval]) -> Interval:
        """Interval arithmetic over the layer: input intervals `[N, *shape]` to the output's."""

    def push(self, columns: Sequence[Tensor | None]) -> Tensor:
        """The adjoint of `pull`: directions `[B, *shape]` at each input (None: zero) to the output's, without
        constants; linear layers only.

        A layer that differs between samples is called with B aligned to its own samples; see `for_owners`.
        """
        raise AssertionError(f"{type(self).__name__} has no `push`, which only linear layers need")

    def constant(self, inputs: Sequence[Tensor]) -> Tensor:
        """The layer's centre line applied to points `[N or 1, *shape]`, constants included; linear layers only."""
        raise AssertionError(f"{type(self).__name__} has no `constant`, which only linear layers need")

    def for_owners(self, owner: Tensor) -> DualLayer:
        """The layer for a batch of directions that belong to the samples `owner`."""
        return self

    def spread(self) -> Tensor | None:
        """Half the vertical distance of a parallel relaxation's lines, `[N, *shape]`; None where there is none."""
        return None

    def reach(self, extent: Sequence[int]) -> tuple[int, ...]:
        """Spatial size of the input patch that a windowed layer's output patch of size `extent` reads."""
        return tuple(extent)

    def magnitude(self, sizes: Sequence[Tensor]) -> Tensor:
        """|A|·sizes + |b| for inputs at most `sizes` `[N or 1, *shape]` large: what rounding is relative to.

        The sizes of all terms add up, even where the terms themselves cancel.
        """
        return self.interval([Interval(-size, size) for size in sizes]).magnitude

    @property
    def terms(self) -> int:
        """The longest sum of products that `pull`, `objective` or `interval` computes, for rounding error bounds."""
        return 1

    @property
    def roundings(self) -> int | None:
        """How many roundings a term of an output goes through at most when the op itself is run, with its sums taken in
        any order. 0: it only moves scalars, so that a run and `interval` are exact. None: not analysed.
        """
        return None

    @property
    def reads(self) -> int:
        """Of how many scalars of one operand an output is a sum at most, if that is below `roundings`."""
        return max(self.roundings or 1, 1)

    def misplaced(self, sizes: Sequence[Tensor], unit: float) -> Tensor | None:
        """What a run that computes with this unit roundoff adds by constants of its own, such as the places that a
        resampling reads, for operands at most `sizes` large; None for nothing.
        """
        return None

    @property
    def keeps_sign(self) -> bool:
        """Whether no output is ever negative, however it is rounded, where no operand is."""
        return False

    @property
    def summed(self) -> float:
        """How many times larger than |A|·M + |b| the sums may be that an op divides when it is run, as averages do."""
        return 1.0

    @property
    def moves(self) -> bool:
        """Whether the layer computes nothing, neither forward nor when rows are pulled, and so never rounds."""
        return self.roundings == 0 and self.terms <= 1

    @property
    def constant_magnitude(self) -> Tensor | None:
        """|b| `[1, *shape]`, if `objective` sums more than `terms` products with the constant term; else None."""
        return None

    @property
    def multiplications(self) -> int:
        """Multiplications to pull one row, or push one column, through the whole node; for the cost model."""
        return 0
