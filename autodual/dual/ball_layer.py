"""The dual of an elementwise op whose operand lies in a box and in a ball (after SDP-CROWN, Chiu et al. 2025).

Intervals bound each unit alone, so that a row meets every unit's worst case at once. In a ball only few units can be at
their ends together. That constraint has one multiplier for each row and op (`docs/mathematics.md`, "Balls").
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from autodual.dual.ball import Ball, Piece
from autodual.dual.ball_multiplier import Multiplied, Stretch, best_multiplier
from autodual.dual.layer import Contribution, DualLayer
from autodual.dual.relaxation import RelaxedLayer
from autodual.dual.row_products import inner
from autodual.dual.rows import Rows
from autodual.interval import Interval
from autodual.tensors import flat


class BallLayer(DualLayer):
    """Rows are pulled as `lines` pulls them, so that a row ν at the output becomes g at the operand z. What is left,
    <ν, op(z)> - <g, z>, is at least, for every λ ≥ 0,

        Σ_i min over the box of [ν_i op(v) - g_i v + λ/2 (v - centre_i)²]  -  λ/2 radius²,

    and that, for the best λ tried, is what rows gain. λ = 0 is among them, which is what lines gain or more.

    Args:
        lines: the op's layer over the box alone.
        pieces: stretches that cover the box together.
        ball: holds the operand.
        bends: where the op is no line over the box, `[N, *shape]`; elsewhere `lines` must be the op itself.
        straight: the op's intercepts there, `[N, *shape]`; None if they are zero.
        slack: γ of sums over the node, where rounding is to be charged for; else 0.

    Example:
        >>> import torch
        >>> from autodual.dual import Ball, find_rule, Rows
        >>> from autodual.interval import Interval
        >>> from autodual.ir import Environment, ops
        >>> rule, environment = find_rule(ops.Relu()), Environment({}.__getitem__, torch.float32, torch.device("cpu"))
        >>> box = Interval(-torch.ones(1, 2), torch.ones(1, 2))
        >>> plain = rule.layer(ops.Relu(), [box], environment, "shared")
        >>> ball = Ball(torch.zeros(1, 2), torch.ones(1))  # both units cannot be at 1 together
        >>> layer = rule.in_ball(ops.Relu(), [box], environment, plain, [ball], 0.0)
        >>> row = Rows(torch.tensor([[[-1.0, -1.0]]]), (2,))
        >>> plain.gain(row), layer.gain(row)
        (tensor([[-1.]]), tensor([[-0.7071]]))
    """

    per_sample = True
    linear = False

    def __init__(
        self,
        lines: DualLayer,
        pieces: Sequence[Piece],
        ball: Ball,
        bends: Tensor,
        straight: Tensor | None,
        slack: float,
    ):
        self.lines = lines
        self.pieces = tuple(pieces)
        self.ball = ball
        self.bends = bends
        self.straight = straight
        self.slack = slack

    @property
    def windowed(self) -> bool:  # type: ignore[override]
        return self.lines.windowed

    def pull(self, rows: Rows) -> tuple[Rows, ...]:
        return (self._solved(rows)[0],)

    def objective(self, rows: Rows) -> Contribution:
        # Lines over the whole box can be better than those of pieces, of curves at least.
        return Contribution(centre=self._bent(rows).fmax(self._plain(rows)))

    def _bent(self, rows: Rows) -> Tensor:
        """What rows gain by the ball and the pieces, `[G, K]`."""
        found, others = self._solved(rows)[1].gain, self._of_others(rows)
        return found if others is None else found + others

    def _plain(self, rows: Rows) -> Tensor:
        """What they gain by lines over the box."""
        found = self.lines.gain(rows)
        return torch.zeros_like(self._solved(rows)[1].gain) if found is None else found

    def _counts(self, rows: Rows) -> Tensor:
        """Which rows gain more by the ball, `[G, K, 1, …]`."""
        better = self._bent(rows) >= self._plain(rows)
        return better.reshape(*better.shape, *[1] * len(rows.shape))

    def along(self, rows: Rows, points: Sequence[Tensor]) -> Tensor:
        # Where the ball's gain counts, a bending unit has the op's value at its least term, and from there goes on
        # along the slope of the row's line.
        (point,) = points
        here, lines = self._least(rows, point), self.lines.along(rows, points)
        beyond = lines - self.lines.along(rows, [here])
        value, *others = (RelaxedLayer(piece.lines).along(rows, [here]) for piece in self.pieces)
        terms, nowhere = self._solved(rows)[1].terms, torch.zeros_like(point, dtype=torch.bool)
        for met, later in zip(others, terms.later, strict=True):
            value = torch.where(self._everywhere(rows, later, nowhere), met, value)
        bending = self._everywhere(rows, torch.ones_like(terms.place, dtype=torch.bool), nowhere)
        return torch.where(self._counts(rows) & bending, value + beyond, lines)

    def by_choice(self, rows: Rows, points: Sequence[Tensor]) -> Tensor:
        (point,) = points
        away = point - self._least(rows, point)
        # A line's rise is affine in the point. Only its slope counts: the ball's gain sees no intercepts.
        found = self.lines.by_choice(rows, [away]) - self.lines.by_choice(rows, [torch.zeros_like(away)])
        return torch.where(self._counts(rows), found, self.lines.by_choice(rows, points))

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        return self.lines.interval(inputs)

    def magnitude(self, sizes: Sequence[Tensor]) -> Tensor:
        # Of both lines that a row meets: those of a piece, and those that pull the row.
        pieces = torch.stack([RelaxedLayer(piece.lines).magnitude(sizes) for piece in self.pieces])
        return self.lines.magnitude(sizes) + pieces.amax(0)

    @property
    def terms(self) -> int:
        return self.lines.terms

    def _solved(self, rows: Rows) -> tuple[Rows, Multiplied]:
        """The rows pulled, and what they gain where the op bends. Those of the last rows are kept, as one step asks for
        both.
        """
        if not (self._memory and self._memory[0] is rows):
            (pulled,) = self.lines.pull(rows)
            found = best_multiplier(self._stretches(rows, pulled), rows.samples(self._radius), self.slack)
            self._memory[:] = rows, pulled, found
        return self._memory[1], self._memory[2]

    @cached_property
    def _radius(self) -> Tensor:
        return self.ball.as_precise_as(self.ball.centre.dtype)

    @cached_property
    def _memory(self) -> list[Any]:
        """The last rows, and what was found for them; a copy of the layer starts without."""
        return []

    def _stretches(self, rows: Rows, pulled: Rows) -> list[Stretch]:
        nu, g = (self._of_rows(rows, some.values) for some in (rows, pulled))
        below = nu > 0

        def met(low: Tensor, high: Tensor) -> Tensor:
            seen = self._of_features(rows, low)
            return seen if low is high else torch.where(below, seen, self._of_features(rows, high))

        found, centre = [], self._of_features(rows, self.ball.centre)
        for piece in self.pieces:
            lines = piece.lines
            slope = nu * met(lines.lower_slopes[0], lines.upper_slopes[0]) - g
            constant = nu * met(lines.lower_intercept, lines.upper_intercept) + slope * centre
            low, high = (self._of_features(rows, end) - centre for end in (piece.bounds.lower, piece.bounds.upper))
            found.append(Stretch(low, high, slope, constant))
        return found

    # --- the units that bend ------------------------------------------------------------------------------------------

    @cached_property
    def _bending(self) -> Tensor:
        """As many units of each sample, `[N, U]`, as hold all that bend."""
        bends = flat(self.bends)
        most = int(bends.sum(1).amax()) if bends.numel() else 0
        return bends.byte().argsort(dim=1, descending=True, stable=True)[:, :most]

    def _of_others(self, rows: Rows) -> Tensor | None:
        """What rows gain by the intercepts of all other units, `[G, K]`; None where these are zero."""
        if self.straight is None or rows.window is not None:
            return None
        others = flat(self.straight).scatter(1, self._bending, 0.0)
        return inner(rows, others.reshape(self.straight.shape))

    def _least(self, rows: Rows, point: Tensor) -> Tensor:
        """Where the least terms of bending units are, `[G, K, *shape]`; of others the point itself."""
        place = self._solved(rows)[1].terms.place
        return self._everywhere(rows, place + self._of_features(rows, self.ball.centre), point)

    def _everywhere(self, rows: Rows, bending: Tensor, others: Tensor) -> Tensor:
        """Values of units that bend `[G, K, U]` in their places among those of others `[G, K, *shape]`."""
        index = rows.samples(self._bending).expand(bending.shape)
        return flat(others, 2).scatter(2, index, bending).reshape(others.shape)

    def _of_rows(self, rows: Rows, values: Tensor) -> Tensor:
        """Values of rows `[G or 1, K, *extent]` at the units that bend, `[G, K, U]`; of all units in a window."""
        entries = flat(values, 2)
        if rows.window is not None:
            return entries
        index = rows.samples(self._bending)
        groups = max(entries.shape[0], index.shape[0])
        return entries.expand(groups, *entries.shape[1:]).gather(2, index.expand(groups, entries.shape[1], -1))

    def _of_features(self, rows: Rows, tensor: Tensor) -> Tensor:
        """The same of features `[N or 1, *shape]`: `[G or 1, 1, U]`."""
        if rows.window is not None:
            return flat(rows.features(tensor), 2)
        samples = self._bending.shape[0]
        return rows.samples(flat(tensor).expand(samples, -1).gather(1, self._bending))
