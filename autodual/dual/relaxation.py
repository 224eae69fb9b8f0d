"""Linear relaxations of nonlinear ops, and the dual layer that any of them makes.

A relaxation is a pair of affine functions of the op's inputs that enclose its output wherever the inputs keep their
bounds. Any such pair is dual feasible, hence sound; a poor choice costs tightness, never truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from autodual.dual.layer import Contribution, DualLayer
from autodual.dual.row_products import inner
from autodual.dual.rows import Rows
from autodual.dual.weighted_columns import weighted_columns
from autodual.interval import Interval


@dataclass(frozen=True)
class LinearRelaxation:
    """lower_slope·z + lower_intercept ≤ op(z) ≤ upper_slope·z + upper_intercept, elementwise.

    Args:
        lower_slopes: one tensor `[N, *shape]` per input.
        upper_slopes: likewise; the same tuple as `lower_slopes` if the lines are parallel.
        lower_intercept: `[N, *shape]`.
        upper_intercept: `[N, *shape]`.
        grounded: whether the lower intercept is zero everywhere, which spares a product.

    Example:
        >>> import torch
        >>> from autodual.dual import LinearRelaxation
        >>> from autodual.interval import Interval
        >>> slopes = (torch.tensor([[0.5]]),)  # a ReLU over [-1, 1]: z/2 ≤ relu(z) ≤ z/2 + 1/2
        >>> lines = LinearRelaxation(slopes, slopes, torch.tensor([[0.0]]), torch.tensor([[0.5]]))
        >>> between = lines.range([Interval(torch.tensor([[-1.0]]), torch.tensor([[1.0]]))])
        >>> lines.parallel, between.lower, between.upper
        (True, tensor([[-0.5000]]), tensor([[1.]]))
    """

    lower_slopes: tuple[Tensor, ...]
    upper_slopes: tuple[Tensor, ...]
    lower_intercept: Tensor
    upper_intercept: Tensor
    grounded: bool = False

    @property
    def parallel(self) -> bool:
        """Whether both lines have the same slopes, so that one pull serves lower and upper bounds."""
        return self.lower_slopes is self.upper_slopes

    def range(self, bounds: Sequence[Interval]) -> Interval:
        """The values between the lines, `[N, *shape]`, over `bounds` of each input; they contain the op's own range."""
        lower, upper = self.lower_intercept, self.upper_intercept
        for slope, bound in zip(self.lower_slopes, bounds):
            lower = lower + (slope * bound.lower).minimum(slope * bound.upper)
        for slope, bound in zip(self.upper_slopes, bounds):
            upper = upper + (slope * bound.lower).maximum(slope * bound.upper)
        return Interval(lower, upper)


class RelaxedLayer(DualLayer):
    """The dual of a nonlinear op under a linear relaxation (Theorem 3; for ReLU Theorem 1).

    Args:
        relaxation: lines over this call's bounds.

    Example:
        >>> import torch
        >>> from autodual.dual import LinearRelaxation, RelaxedLayer, Rows
        >>> zero, half, one = torch.zeros(1, 1), torch.full((1, 1), 0.5), torch.ones(1, 1)
        >>> layer = RelaxedLayer(LinearRelaxation((zero,), (half,), zero, half))  # a ReLU over [-1, 1]
        >>> rows = Rows(torch.tensor([[[1.0], [-1.0]]]), (1,))
        >>> layer.pull(rows)[0].values.flatten(), layer.objective(rows).centre
        (tensor([ 0.0000, -0.5000]), tensor([[ 0.0000, -0.5000]]))
    """

    windowed = True
    per_sample = True

    def __init__(self, relaxation: LinearRelaxation):
        self.relaxation = relaxation
        self.linear = relaxation.parallel

    @cached_property
    def middle(self) -> Tensor:
        """Half way between the lines' intercepts, `[N, *shape]`."""
        if self.relaxation.grounded:
            return self.half_height
        return (self.relaxation.lower_intercept + self.relaxation.upper_intercept) / 2

    @cached_property
    def half_height(self) -> Tensor:
        """Half the distance of the lines' intercepts, `[N, *shape]`."""
        if self.relaxation.grounded:
            return self.relaxation.upper_intercept / 2
        return (self.relaxation.upper_intercept - self.relaxation.lower_intercept) / 2

    @cached_property
    def _rise(self) -> Tensor:
        """Upper minus lower intercept."""
        return self.relaxation.upper_intercept - self.relaxation.lower_intercept

    @cached_property
    def _tilts(self) -> tuple[Tensor, ...]:
        """Upper minus lower slopes."""
        return tuple(high - low for low, high in zip(self.relaxation.lower_slopes, self.relaxation.upper_slopes))

    def pull(self, rows: Rows) -> tuple[Rows, ...]:
        relaxation = self.relaxation
        if relaxation.parallel:
            return tuple(rows.scaled(slope) for slope in relaxation.lower_slopes)
        # ν⁺ takes the lower line and ν⁻ the upper one: ν·lower + ν⁻·(upper - lower).
        values, negative = rows.values, rows.negative
        return tuple(
            rows.with_values((values * rows.features(lower)).addcmul_(negative, rows.features(tilt)), cropped=True)
            for lower, tilt in zip(relaxation.lower_slopes, self._tilts)
        )

    def objective(self, rows: Rows) -> Contribution:
        if self.relaxation.parallel:
            return Contribution(centre=inner(rows, self.middle), width=inner(rows, self.half_height, absolute=True))
        return Contribution(centre=self.gain(rows))

    def gain(self, rows: Rows) -> Tensor | None:
        relaxation = self.relaxation
        if relaxation.parallel and not (relaxation.grounded and rows.scale is None):
            return super().gain(rows)
        negative = rows.with_values(rows.negative)
        if relaxation.grounded:  # ν⁺ takes the lower line, whose intercept is zero
            return inner(negative, relaxation.upper_intercept)
        return inner(rows, relaxation.lower_intercept) + inner(negative, self._rise)

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        return self.relaxation.range(inputs)

    def magnitude(self, sizes: Sequence[Tensor]) -> Tensor:
        relaxation = self.relaxation
        ends = []
        for slopes, intercept in (
            (relaxation.lower_slopes, relaxation.lower_intercept),
            (relaxation.upper_slopes, relaxation.upper_intercept),
        ):
            end = intercept.abs()
            for slope, size in zip(slopes, sizes):
                end = end + slope.abs() * size
            ends.append(end)
        return ends[0].maximum(ends[1])

    def push(self, columns: Sequence[Tensor | None]) -> Tensor:
        moved = [slope * column for slope, column in zip(self.relaxation.lower_slopes, columns) if column is not None]
        total = moved[0]
        for column in moved[1:]:
            total = total + column
        return total

    def push_with_noise(self, columns: Sequence[Tensor | None], noise: Tensor) -> Tensor:
        moving = [(slope, column) for slope, column in zip(self.relaxation.lower_slopes, columns) if column is not None]
        return weighted_columns(*zip(*moving, (self.half_height, noise)))

    def constant(self, inputs: Sequence[Tensor]) -> Tensor:
        value = self.middle
        for slope, point in zip(self.relaxation.lower_slopes, inputs):
            value = value + slope * point
        return value

    def along(self, rows: Rows, points: Sequence[Tensor]) -> Tensor:
        lines, below = self.relaxation, rows.values > 0
        met = torch.where(below, rows.features(lines.lower_intercept), rows.features(lines.upper_intercept))
        for low, high, point in zip(lines.lower_slopes, lines.upper_slopes, points, strict=True):
            slope = rows.features(low)
            met = met + (slope if low is high else torch.where(below, slope, rows.features(high))) * point
        return met

    def for_owners(self, owner: Tensor) -> RelaxedLayer:
        def own(slopes: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            # Where operands are constants the lines are the same for all samples.
            return tuple(slope[owner] if slope.shape[0] > 1 else slope for slope in slopes)

        relaxation = self.relaxation
        low = own(relaxation.lower_slopes)
        high = low if relaxation.parallel else own(relaxation.upper_slopes)
        return RelaxedLayer(replace(relaxation, lower_slopes=low, upper_slopes=high))

    def spread(self) -> Tensor:
        return self.half_height

    @property
    def terms(self) -> int:
        return self.relaxation.lower_intercept[0].numel()
