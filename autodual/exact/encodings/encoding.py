"""The contract of exact encodings: what a nonlinear op adds to a mixed-integer program; and their registry."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from autodual.exact.linear_program import Array, ProgramBuilder
from autodual.ir import Environment, Node, Op
from autodual.registration import same_definition

EncodingClass = TypeVar("EncodingClass", bound="type[ExactEncoding]")

_ENCODINGS: dict[type[Op], ExactEncoding] = {}


@dataclass(frozen=True, eq=False)
class Operand:
    """R scalars that units of an op read.

    Args:
        lower: lower bounds over the whole set, float64 `[R]`.
        upper: upper bounds, likewise.
        columns: their columns in the program, int `[R]`; None while these are not known.

    Example:
        >>> import numpy
        >>> from autodual.exact import Operand
        >>> Operand(numpy.array([-1.0, 0.0]), numpy.array([2.0, 1.0])).part(numpy.array([1])).upper
        array([1.])
    """

    lower: Array
    upper: Array
    columns: Array | None = None

    def part(self, some: Array) -> Operand:
        """Some of the scalars, by index or mask."""
        return Operand(self.lower[some], self.upper[some], None if self.columns is None else self.columns[some])


@dataclass(frozen=True, eq=False)
class Decided:
    """Units that are affine over their operands' bounds: Σ_k slope_k · operand_k + constant.

    Args:
        where: which units are, bool `[R]`; nothing is said of the others.
        slopes: one array `[R]` for each operand.
        constant: `[R]`.
        slack: how far the constant may be off by rounding, `[R]`.

    Example:
        >>> import numpy
        >>> from autodual.exact import Decided
        >>> Decided(numpy.array([True]), (numpy.ones(1),), numpy.zeros(1), numpy.zeros(1)).where
        array([ True])
    """

    where: Array
    slopes: tuple[Array, ...]
    constant: Array
    slack: Array


class ExactEncoding(ABC):
    """How an elementwise op of one or several inputs becomes columns, binaries and rows: its graph and nothing more.

    Over the operands' bounds, the points of the new rows with binaries at 0 and 1 must be the op's graph, and with
    binaries anywhere between them they should be its convex hull, or near.

    Example:
        >>> from autodual.exact import encoding_of
        >>> from autodual.ir import ops
        >>> type(encoding_of(ops.Relu())).__name__, encoding_of(ops.Tanh())
        ('ReluEncoding', None)
    """

    @abstractmethod
    def decided(self, node: Node, units: Array, operands: Sequence[Operand], environment: Environment) -> Decided:
        """The units that bounds make affine.

        Args:
            node: the node; its op has the attributes.
            units: the flat indices of R units in the node, int.
            operands: what the units read, one for each input, without columns.
            environment: evaluates the op's parameters, in float64.
        """

    @abstractmethod
    def encode(
        self, node: Node, units: Array, operands: Sequence[Operand], environment: Environment, builder: ProgramBuilder
    ) -> Array:
        """Add units that are not decided to a program; the columns of their values, int `[R]`.

        Args:
            node: the node; its op has the attributes.
            units: the flat indices of R units in the node, int.
            operands: what the units read, one for each input, with columns.
            environment: evaluates the op's parameters, in float64.
            builder: takes columns and rows.
        """


def exact_encoding(*ops: type[Op], replace: bool = False) -> Callable[[EncodingClass], EncodingClass]:
    """Class decorator: the exact encoding of these op types.

    Args:
        ops: the op types.
        replace: take the place of any other encoding too.

    Raises:
        ValueError: an op has an encoding of another name already.

    Example:
        >>> from autodual.exact import PiecewiseLinear, Pieces, exact_encoding
        >>> from autodual.ir import ElementwiseOp
        >>> class Halved(ElementwiseOp):
        ...     def function(self, x):
        ...         return x / 2
        >>> @exact_encoding(Halved)
        ... class HalvedEncoding(PiecewiseLinear):
        ...     def pieces(self, node, environment):
        ...         return Pieces(slopes=(0.5,), points=((0.0, 0.0),))
    """

    def register(encoding: EncodingClass) -> EncodingClass:
        for op in ops:
            present = _ENCODINGS.get(op)
            if present is not None and not replace and not same_definition(type(present), encoding):
                raise ValueError(
                    f"{op.__name__} already has the exact encoding {type(present).__name__}; pass replace=True to "
                    "change it"
                )
        for op in ops:
            _ENCODINGS[op] = encoding()
        return encoding

    return register


def encoding_of(op: Op) -> ExactEncoding | None:
    """The exact encoding of an op, or None; an op class inherits none from its base classes.

    Args:
        op: an op of the graph.

    Example:
        >>> from autodual.exact import encoding_of
        >>> from autodual.ir import ops
        >>> encoding_of(ops.Multiply()) is None
        True
    """
    return _ENCODINGS.get(type(op))
