"""Continuous piecewise-linear functions of one scalar: ReLU, leaky ReLU, |x|, clamps, soft shrinkage.

A unit z in [l, u] is l plus the way δ_p that it went through each piece, and y = f(l) + Σ s_p δ_p. A piece is entered
only once the one before it is passed, which one binary a_p for each inner knot says:

    δ_p ≥ w_p a_p,   δ_{p+1} ≤ w_{p+1} a_p,   w_p the piece's width within [l, u].

With a_p anywhere in [0, 1] these are the function's convex hull; of a ReLU they are the triangle of (3.6).
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy

from autodual.exact.encodings.encoding import Decided, ExactEncoding, Operand, exact_encoding
from autodual.exact.linear_program import Array, Entries, ProgramBuilder, flat_array, rounded
from autodual.ir import Environment, Node, ops


@dataclass(frozen=True, eq=False)
class Pieces:
    """A continuous piecewise-linear function.

    Args:
        slopes: of the P pieces, left to right: numbers, or arrays `[size]` with one for each unit of the node.
        points: the P - 1 knots with their values, pairs (z, f(z)) of exact numbers in increasing order; any one point
            of the graph where there is a single piece.

    Example:
        >>> from autodual.exact import Pieces
        >>> relu = Pieces(slopes=(0.0, 1.0), points=((0.0, 0.0),))
        >>> relu.knots
        (0.0,)
    """

    slopes: tuple[float | Array, ...]
    points: tuple[tuple[float, float], ...]

    @property
    def knots(self) -> tuple[float, ...]:
        """Where the slope changes."""
        return tuple(z for z, _ in self.points) if len(self.slopes) > 1 else ()

    def reached(self, z: Operand) -> tuple[Array, Array]:
        """The first and the last piece that bounds `[R]` reach into, int."""
        knots = numpy.array(self.knots)
        first = (knots <= z.lower[:, None]).sum(1)
        return first, numpy.maximum((knots < z.upper[:, None]).sum(1), first)

    def slopes_of(self, piece: Array, units: Array) -> Array:
        """The slopes of a piece for each of some units, both int `[R]`."""
        table = [slope[units] if isinstance(slope, numpy.ndarray) else numpy.full(len(units), slope)
                 for slope in self.slopes]  # fmt: skip
        return numpy.stack(table)[piece, numpy.arange(len(units))]

    def points_of(self, piece: Array) -> tuple[Array, Array]:
        """A point of each piece `[R]`: its left knot if it has one, and its value."""
        points = numpy.array(self.points)[numpy.maximum(piece - 1, 0)]
        return points[:, 0], points[:, 1]


class PiecewiseLinear(ExactEncoding):
    """The encoding of a continuous piecewise-linear function of one scalar."""

    @abstractmethod
    def pieces(self, node: Node, environment: Environment) -> Pieces:
        """The function.

        Args:
            node: the node; its op has the attributes.
            environment: evaluates the op's parameters, in float64.
        """

    def decided(self, node: Node, units: Array, operands: Sequence[Operand], environment: Environment) -> Decided:
        """See `ExactEncoding`."""
        (z,), pieces = operands, self.pieces(node, environment)
        first, last = pieces.reached(z)
        slopes, (points, values) = pieces.slopes_of(first, units), pieces.points_of(first)
        constant = values - slopes * points
        slack = numpy.where((slopes == 0) | (points == 0), 0.0, rounded(constant, values, slopes * points))
        same = (slopes == 1) & (points == values)
        return Decided(first == last, (slopes,), numpy.where(same, 0.0, constant), numpy.where(same, 0.0, slack))

    def encode(
        self, node: Node, units: Array, operands: Sequence[Operand], environment: Environment, builder: ProgramBuilder
    ) -> Array:
        """See `ExactEncoding`."""
        (z,), pieces = operands, self.pieces(node, environment)
        first, last = pieces.reached(z)
        columns = numpy.full(len(units), -1)
        for start, stop in sorted(set(zip(first.tolist(), last.tolist()))):
            some = ((first == start) & (last == stop)).nonzero()[0]
            columns[some] = _Bent(pieces, units[some], z.part(some), start, stop, builder).columns()
        return columns


@dataclass(frozen=True, eq=False)
class _Bent:
    """Units that may lie in any of the pieces start to stop."""

    pieces: Pieces
    units: Array
    z: Operand
    start: int
    stop: int
    builder: ProgramBuilder

    def columns(self) -> Array:
        """Add the units to the program."""
        builder, count, inner = self.builder, len(self.units), self.pieces.knots[self.start : self.stop]
        ends = [self.z.lower, *(numpy.full(count, knot) for knot in inner), self.z.upper]
        widths = [after - before for before, after in pairwise(ends)]
        # A knot at zero is subtracted without rounding.
        slacks = [numpy.where((a == 0) | (b == 0), 0.0, rounded(a, b)) for a, b in pairwise(ends)]
        ways = [builder.add_columns(numpy.zeros(count), width + slack) for width, slack in zip(widths, slacks)]
        assert self.z.columns is not None
        parts: list[Entries] = [(None, self.z.columns, 1.0), *((None, way, -1.0) for way in ways)]
        builder.add_rows(parts, self.z.lower, self.z.lower, count, numpy.zeros(count))
        for before in range(len(ways) - 1):
            entered = builder.add_binaries(count)
            passed: list[Entries] = [(None, ways[before], 1.0), (None, entered, -widths[before])]
            builder.add_rows(passed, 0.0, numpy.inf, count, slacks[before])
            begun: list[Entries] = [(None, ways[before + 1], 1.0), (None, entered, -widths[before + 1])]
            builder.add_rows(begun, -numpy.inf, 0.0, count, slacks[before + 1])
        return self._sum(ways, widths)

    def _sum(self, ways: list[Array], widths: list[Array]) -> Array:
        """y = f(l) + Σ s_p δ_p."""
        pieces, low = numpy.arange(self.start, self.stop + 1), self.z.lower
        slopes = [self.pieces.slopes_of(numpy.full(len(low), piece), self.units) for piece in pieces]
        points, values = self.pieces.points_of(numpy.full(len(low), self.start))
        constant = values + slopes[0] * (low - points)
        slack = numpy.where(slopes[0] == 0, 0.0, rounded(constant, values, slopes[0] * low, slopes[0] * points))
        rising = [place for place, slope in enumerate(slopes) if slope.any()]
        if len(rising) == 1 and (slopes[rising[0]] == 1).all() and not (constant.any() or slack.any()):
            return ways[rising[0]]  # as for a ReLU, whose value is the way through its second piece
        steps = numpy.stack([slope * width for slope, width in zip(slopes, widths)])
        turns = constant + numpy.concatenate([numpy.zeros((1, len(low))), steps.cumsum(0)])
        room = slack + rounded(*turns, *steps)
        y = self.builder.add_columns(turns.min(0) - room, turns.max(0) + room)
        entries: list[Entries] = [(None, y, 1.0), *((None, way, -slope) for way, slope in zip(ways, slopes))]
        self.builder.add_rows(entries, constant, constant, len(y), slack)
        return y


@exact_encoding(ops.Relu)
class ReluEncoding(PiecewiseLinear):
    """max(x, 0)."""

    def pieces(self, node: Node, environment: Environment) -> Pieces:
        return Pieces(slopes=(0.0, 1.0), points=((0.0, 0.0),))


@exact_encoding(ops.LeakyRelu)
class LeakyReluEncoding(PiecewiseLinear):
    """x where x ≥ 0, else slope · x, with a slope of any sign: leaky ReLU, PReLU, |x|."""

    def pieces(self, node: Node, environment: Environment) -> Pieces:
        assert isinstance(node.op, ops.LeakyRelu)
        slope = flat_array(environment(node.op.slope).expand(node.shape))
        return Pieces(slopes=(slope, 1.0), points=((0.0, 0.0),))


@exact_encoding(ops.Softshrink)
class SoftshrinkEncoding(PiecewiseLinear):
    """x moved towards zero by a width, and zero nearer to it."""

    def pieces(self, node: Node, environment: Environment) -> Pieces:
        assert isinstance(node.op, ops.Softshrink)
        return Pieces(slopes=(1.0, 0.0, 1.0), points=((-node.op.width, 0.0), (node.op.width, 0.0)))


@exact_encoding(ops.Clamp, ops.Within)
class ClampEncoding(PiecewiseLinear):
    """Hard limits on one side or both."""

    def pieces(self, node: Node, environment: Environment) -> Pieces:
        assert isinstance(node.op, ops.Clamp)
        low = -math.inf if node.op.lower is None else node.op.lower
        high = math.inf if node.op.upper is None else node.op.upper
        if low >= high:
            return Pieces(slopes=(0.0,), points=((0.0, high),))
        # An infinite limit is none, and a knot there would have no finite value.
        ends = tuple((end, end) for end in (low, high) if math.isfinite(end))
        slopes = (*([0.0] if low > -math.inf else []), 1.0, *([0.0] if high < math.inf else []))
        return Pieces(slopes, ends or ((0.0, 0.0),))
