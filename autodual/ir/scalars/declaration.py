"""Declarations of functions of one scalar (their accuracy, names and examples), and the table of them.

The dual rule, the lowerings of both frontends, the page of operators and the problems of the tests come from here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from autodual.ir.op import Op

#: Assumed largest error of library functions (exp, tanh, erf, …), in unit roundoffs of their results' size: libraries
#: promise a few units in the last place, two unit roundoffs each.
LIBRARY = 16


@dataclass(frozen=True)
class Accuracy:
    """How well a run computes a function.

    Args:
        roundings: the largest error, in unit roundoffs of the value's size.
        of_operand: whether of the operand's size too, since the function may add to its operand and subtract again.
        intermediate: size of numbers that it may add and subtract again, whatever its operand.

    Example:
        >>> from autodual.ir import ops
        >>> from autodual.ir.scalars import find_declaration
        >>> find_declaration(ops.Sigmoid).accuracy  # some libraries compute (1 + tanh(x/2))/2
        Accuracy(roundings=16, of_operand=False, intermediate=1.0)
    """

    roundings: int
    of_operand: bool = False
    intermediate: float = 0.0


class OnnxAttributes(Protocol):
    """The attributes of an ONNX operator."""

    def get(self, name: str, default: Any = None) -> Any:
        """The attribute `name`, or `default` if the file leaves it out."""


#: Makes the op from the operation's further arguments; raises ValueError with the reason if it cannot.
FromArguments = Callable[..., Op]
FromAttributes = Callable[[OnnxAttributes], Op]
Measured = Accuracy | Callable[[Any], Accuracy] | None


@dataclass(frozen=True, eq=False)
class Declaration:
    """One entry of the table: an op, the accuracy of a run of it, and its names in PyTorch and ONNX.

    Args:
        op: the op's class.
        accuracy: how well a run computes the op, or a function of the op that gives it; None: not analysed.
        aten: operations of ATen or `torch.library`, by name (`elu`, `clamp.default`, `mylib::op`) or themselves, each
            with a function from its arguments after the first to the op.
        onnx: ONNX operators, by name (`Elu`, `com.example::Bump`), each with a function from its attributes to the op.
        examples: a function that makes ops of this type for tests; by default the op without arguments.
    """

    op: type[Op]
    accuracy: Measured = None
    aten: Mapping[Any, FromArguments] = field(default_factory=dict)
    onnx: Mapping[str, FromAttributes] = field(default_factory=dict)
    examples: Callable[[], tuple[Op, ...]] | None = None

    def measured(self, op: Op) -> Accuracy | None:
        """How well a run computes `op`, one of this type; None: not analysed."""
        return self.accuracy(op) if callable(self.accuracy) else self.accuracy

    def tried(self) -> tuple[Op, ...]:
        """Ops of this type for tests to try."""
        return self.examples() if self.examples else (self.op(),)


_TABLE: dict[tuple[str, str], Declaration] = {}
_Declared = TypeVar("_Declared", bound="type[Op]")


def declarations() -> Iterator[Declaration]:
    """All functions of one scalar that are declared, in the order of declaration.

    Example:
        >>> from autodual.ir.scalars import declarations
        >>> [entry.onnx for entry in declarations() if entry.op.__name__ == "Tanh"][0].keys()
        dict_keys(['Tanh'])
    """
    yield from _TABLE.values()


def names_in(module: str) -> list[str]:
    """The names of the ops that a `module`, given by its name, declares."""
    return [op.__name__ for op in (entry.op for entry in declarations()) if op.__module__ == module]


def find_declaration(op: type[Op]) -> Declaration | None:
    """The entry of an op type, or None.

    Args:
        op: the type of an op of the graph.

    Example:
        >>> from autodual.ir import ops
        >>> from autodual.ir.scalars import find_declaration
        >>> find_declaration(ops.Clamp).accuracy.roundings
        0
    """
    found = _TABLE.get((op.__module__, op.__qualname__))
    return found if found is not None and found.op is op else None


def record(entry: Declaration) -> None:
    """Put an entry into the table; it replaces one of the same module and name.

    Args:
        entry: the declaration.

    Example:
        >>> from autodual.ir import ops
        >>> from autodual.ir.scalars import find_declaration, record
        >>> record(find_declaration(ops.Tanh))  # again: nothing changes
    """
    _TABLE[entry.op.__module__, entry.op.__qualname__] = entry


def declare(
    *,
    accuracy: Measured = None,
    aten: Mapping[Any, FromArguments] | None = None,
    onnx: Mapping[str, FromAttributes] | None = None,
    examples: Callable[[], tuple[Op, ...]] | None = None,
) -> Callable[[_Declared], _Declared]:
    """Class decorator: put an op with parameters into the table.

    The arguments `accuracy`, `aten`, `onnx` and `examples` are the fields of `Declaration`.

    Example:
        >>> from autodual.ir import ops
        >>> from autodual.ir.scalars import find_declaration
        >>> sorted(find_declaration(ops.LeakyRelu).onnx)  # declared with @declare(onnx={"LeakyRelu": …, "Abs": …})
        ['Abs', 'LeakyRelu']
    """

    def register(op: _Declared) -> _Declared:
        record(Declaration(op, accuracy, aten or {}, onnx or {}, examples))
        return op

    return register
