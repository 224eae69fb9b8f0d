"""What a dual layer must do: the contract between op rules and the bounds engine.

A layer is one op of the primal network turned around for one call: it holds the evaluated weights, or the relaxation
over this call's bounds, and no other state. In the notation of Theorem 3, `pull` is g and `objective` is -h.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from autodual.dual.rows import Rows
from autodual.interval import Interval


class Contribution(NamedTuple):
    """What a layer adds to each row's bounds: `centre - width` to the lower one, `centre + width` to the upper.

    Args:
        centre: `[G or 1, K]`, or None for zero.
        width: `[G or 1, K]`, never negative, or None for zero.
    """

    centre: Tensor | None = None
    width: Tensor | None = None


NOTHING = Contribution()


class DualLayer(ABC):
    """The dual of one node, for one call.

    Example:
        >>> import torch
        >>> from autodual.dual import DualLayer, Rows, find_rule
        >>> from autodual.interval import Interval
        >>> from autodual.ir import Environment, ops
        >>> rule, environment = find_rule(ops.Relu()), Environment({}.__getitem__, torch.float32, torch.device("cpu"))
        >>> z = Interval(torch.tensor([[-1.0, 1.0]]), torch.tensor([[1.0, 2.0]]))
        >>> layer = rule.layer(ops.Relu(), [z], environment, "shared")
        >>> (pulled,) = layer.pull(Rows(torch.tensor([[[1.0, 1.0]]]), (2,)))
        >>> pulled.values
        tensor([[[0.5000, 1.0000]]])
        >>> layer.objective(Rows(torch.tensor([[[1.0, 1.0]]]), (2,)))
        Contribution(centre=tensor([[0.2500]]), width=tensor([[0.2500]]))
    """

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
        """Pull rows back through the op: from its output to each of its inputs (g in Theorem 3).

        Args:
            rows: cotangents at the node's output, `[G or 1, K, *extent]`; windowed ones only if `windowed`.

        Returns:
            One `Rows` per input, with as many groups and rows.
        """

    @abstractmethod
    def objective(self, rows: Rows) -> Contribution:
        """What rows at the node's output pay for its constant term or its relaxation's intercepts (-h in Theorem 3).

        Args:
            rows: cotangents at the node's output, the ones given to `pull`.
        """

    def gain(self, rows: Rows) -> Tensor | None:
        """`objective` for callers that need lower bounds only: `centre - width`, `[G or 1, K]`, or None for zero.

        Args:
            rows: cotangents at the node's output.
        """
        found = self.objective(rows)
        if found.width is None:
            return found.centre
        return -found.width if found.centre is None else found.centre - found.width

    def least(self, rows: Rows) -> Tensor | None:
        """At most the rows' value by what the op knows of its values together, `[G, K]`; None, the default: nothing.

        Rows that end here need not be pulled further, which may be the better bound where operands have wide bounds.

        Args:
            rows: cotangents at the node's output that cover the whole node.
        """
        return None

    @abstractmethod
    def interval(self, inputs: Sequence[Interval]) -> Interval:
        """Interval arithmetic: bounds of the layer's output, `[N, *shape]`, over bounds of its inputs.

        Args:
            inputs: one interval `[N, *shape]` per input; NaN where nothing is known.
        """

    def push(self, columns: Sequence[Tensor | None]) -> Tensor:
        """The adjoint of `pull`, without constants: directions at the inputs to one at the output; linear layers only.

        Args:
            columns: `[B, *shape]` for each input, or None for zero. A layer that is `per_sample` needs B to be its own
                samples; see `for_owners`.

        Returns:
            `[B, *shape]` at the output.
        """
        raise AssertionError(f"{type(self).__name__} has no `push`, which only linear layers need")

    def push_with_noise(self, columns: Sequence[Tensor | None], noise: Tensor) -> Tensor:
        """C directions of every sample at once, and noise in each unit that `spread` says how far the op may leave its
        centre line; layers that have a spread only.

        Args:
            columns: `[C, N or 1, *shape]` for each input, or None for zero.
            noise: `[C, N or 1, *shape]` at the output; it is multiplied by the spread.

        Returns:
            `[C, N, *shape]`.
        """
        spread = self.spread()
        assert spread is not None
        if all(column is None for column in columns):
            return noise * spread
        return torch.addcmul(self.push(columns), noise, spread)

    def constant(self, inputs: Sequence[Tensor]) -> Tensor:
        """The layer's centre line at points, constants included, `[N or 1, *shape]`; linear layers only.

        Args:
            inputs: a point `[N or 1, *shape]` for each input.
        """
        raise AssertionError(f"{type(self).__name__} has no `constant`, which only linear layers need")

    def along(self, rows: Rows, points: Sequence[Tensor]) -> Tensor:
        """The node's value at points, on the lines that the rows take: the gradient of the rows' bound by the rows.

        A search for slopes and multipliers goes forwards with it. This one differentiates `pull` and `gain`, and so is
        right for every layer; layers that know their own value have a cheaper one.

        Args:
            rows: cotangents at the node's output that cover the whole node, the ones given to `pull`.
            points: `[G, K, *shape]` for each input, one point for each row.

        Returns:
            `[G, K, *shape]`, detached; G may be 1 where there are no inputs.
        """
        with torch.enable_grad():
            groups = max((point.shape[0] for point in points), default=rows.groups)
            values = rows.values.detach().expand(groups, *rows.values.shape[1:]).requires_grad_()
            return torch.autograd.grad(self.total(rows.with_values(values), points).sum(), values)[0]

    def by_choice(self, rows: Rows, points: Sequence[Tensor]) -> Tensor:
        """The gradient of the rows' bound by what each row chooses of each unit; layers that leave a choice only.

        Args:
            rows: cotangents at the node's output that cover the whole node, the ones given to `pull`.
            points: `[G, K, *shape]` for each input, one point for each row (see `along`).

        Returns:
            `[G, K, *shape]`.
        """
        raise AssertionError(f"{type(self).__name__} leaves no choice")

    def total(self, rows: Rows, points: Sequence[Tensor]) -> Tensor:
        """What rows and points make together, `[G, K]`: the pulled rows at the points, and what the rows gain.

        Args:
            rows: cotangents at the node's output that cover the whole node.
            points: `[G, K, *shape]` for each input.
        """
        gained = self.gain(rows)
        total = rows.values.new_zeros(rows.values.shape[:2]) if gained is None else gained
        for pulled, point in zip(self.pull(rows), points, strict=True):
            product = pulled.values * point
            total = total + product.reshape(*product.shape[:2], -1).sum(2)
        return total

    def for_owners(self, owner: Tensor) -> DualLayer:
        """The layer for a batch of directions, each of which belongs to one sample.

        Args:
            owner: `[B]` long, the sample of each direction.
        """
        return self

    def spread(self) -> Tensor | None:
        """Half the vertical distance of a parallel relaxation's lines, `[N, *shape]`; None where there is none."""
        return None

    def reach(self, extent: Sequence[int]) -> tuple[int, ...]:
        """Spatial size of the input patch that an output patch reads; windowed layers only.

        Args:
            extent: spatial size of the output patch.
        """
        return tuple(extent)

    def magnitude(self, sizes: Sequence[Tensor]) -> Tensor:
        """|A|·sizes + |b|, `[N or 1, *shape]`: what rounding errors are relative to.

        The sizes of all terms add up, even where the terms themselves cancel.

        Args:
            sizes: the largest absolute values `[N or 1, *shape]` of each input.
        """
        return self.interval([Interval(-size, size) for size in sizes]).magnitude

    def norms(self, moving: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Upper bounds of the spectral norms of an affine op's matrices, one for each operand; infinite if not known.

        Args:
            moving: masks `[N or 1, *shape]` of each operand's scalars that can change at all; columns of others are
                left out.

        Returns:
            For each operand `[N or 1]`, float64.
        """
        return tuple(torch.full((1,), torch.inf, dtype=torch.float64, device=mask.device) for mask in moving)

    @property
    def terms(self) -> int:
        """The longest sum of products that `pull`, `objective` or `interval` computes, for rounding error bounds."""
        return 1

    @property
    def roundings(self) -> int | None:
        """Most roundings that a term of an output goes through when the op itself is run, its sums in any order.

        0: the op only moves scalars, so that a run and `interval` are exact. None: not analysed.
        """
        return None

    @property
    def reads(self) -> int:
        """Most scalars of one operand that an output sums; at most `roundings`."""
        return max(self.roundings or 1, 1)

    def misplaced(self, sizes: Sequence[Tensor], unit: float) -> Tensor | None:
        """Error that a run adds by constants of its own, such as the positions that a resampling reads; None for none.

        Args:
            sizes: the largest absolute values `[N, *shape]` of each operand.
            unit: the run's unit roundoff.
        """
        return None

    @property
    def keeps_sign(self) -> bool:
        """Whether outputs of non-negative operands are never negative, however they are rounded."""
        return False

    @property
    def summed(self) -> float:
        """How much larger than |A|·M + |b| a run's sums may be before it divides them, as averages do: a factor."""
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
