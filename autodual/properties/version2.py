"""VNN-LIB 2.0, parsed and type-checked by the official `vnnlib` package.

Only its syntax tree is used. Its own conversions to linear terms and boxes drop coefficients below 1e-9 and lose
constraints of inputs beside a disjunction; either could prove a false property.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice, repeat
from typing import Any

from autodual.errors import DataError, InvalidInputError
from autodual.properties.connectives import Value, applied, cost
from autodual.properties.formulas import Formula, Linear, number
from autodual.properties.monomials import OUTPUTS
from autodual.properties.property import Declaration, Variable
from autodual.properties.syntax import excerpt

_OPERATORS = {
    "And": "and",
    "Or": "or",
    "Plus": "+",
    "Minus": "-",
    "Negate": "-",
    "Multiply": "*",
    "LessEqual": "<=",
    "LessThan": "<",
    "GreaterEqual": ">=",
    "GreaterThan": ">",
    "Equal": "==",
    "NotEqual": "!=",
}
# Products of terms in a whole file, which take some seconds.
_MOST_PRODUCTS = 300_000
_TYPES = ("float32", "float64", "real")


def read_version2(text: str) -> tuple[tuple[Declaration, ...], list[Formula]]:
    """The networks, and the asserted formulas.

    Columns number all inputs, and all outputs with hidden values behind them.

    Raises:
        DataError: the text is not VNN-LIB 2.0, or holds what cannot be verified.
        InvalidInputError: the `vnnlib` package is not installed.
    """
    query = _parsed(text)
    declarations = tuple(map(_declaration, query.networks))
    inputs, outputs = entries_of(declarations)
    reader = _Reader({**_columns(inputs, 0), **_columns(outputs, OUTPUTS)})
    return declarations, [reader.formula(assertion.expr) for assertion in query.assertions]


def entries_of(declarations: Sequence[Declaration]) -> tuple[tuple[Variable, ...], tuple[Variable, ...]]:
    """The inputs of all networks, and their outputs, with all hidden values behind these."""
    inputs = [variable for network in declarations for variable in network.inputs]
    outputs = [variable for network in declarations for variable in network.outputs]
    hidden = [variable for network in declarations for variable in network.hidden]
    return tuple(inputs), (*outputs, *hidden)


def _declaration(network: Any) -> Declaration:
    inputs, hidden, outputs = (
        tuple(map(_variable, found)) for found in (network.inputs, network.hidden, network.outputs)
    )
    if not (inputs and outputs):
        raise DataError("the property's network needs at least one input and one output.")
    return Declaration(network.name, inputs, hidden, outputs, network.equal_to or None)


def _parsed(text: str) -> Any:
    try:
        import vnnlib
    except ImportError:
        raise InvalidInputError(
            "VNN-LIB 2.0 files need the vnnlib package; install it with: pip install 'autodual[vnnlib]'"
        ) from None
    try:
        return vnnlib.parse_query_string(text)
    except Exception as error:
        # The package's own errors, and those of its C++ code for numbers out of range.
        raise DataError(f"the property is no valid VNN-LIB 2.0: {_reason(str(error))}") from None


def _reason(message: str) -> str:
    """The first error of the package's report, in one line."""
    try:
        first = json.loads(message)["errors"][0]
        return f"line {first['line']}: {first['message']} at '{first['offendingSymbol']}' ({first['hint']})"
    except (ValueError, KeyError, IndexError, TypeError):
        return " ".join(message.split())[:300]


def _variable(entry: Any) -> Variable:
    """A declared variable. The package takes any word as a type, so the word itself is looked at."""
    element = str(entry).split()[2]
    element = "real" if element == "Real" else element
    if element not in _TYPES:
        raise DataError(f"'{entry.name}' has the type {element}; only real, float32 and float64 can be verified.")
    return Variable(entry.name, tuple(entry.shape), (entry.onnx_name or "").strip('"') or None, element)


def _columns(variables: Sequence[Variable], start: int) -> dict[str, tuple[int, tuple[int, ...]]]:
    """The first column and the shape of each variable."""
    columns = {}
    for variable in variables:
        columns[variable.name] = (start, variable.shape)
        start += variable.size
    return columns


@dataclass(frozen=True, eq=False)
class _Reader:
    """Turns syntax trees into formulas; `columns` gives each variable's first column and shape. Types are checked."""

    columns: dict[str, tuple[int, tuple[int, ...]]]
    _products: Iterator[None] = field(default_factory=lambda: repeat(None, _MOST_PRODUCTS))

    def formula(self, node: Any) -> Formula:
        found = self._value(node)
        if isinstance(found, Linear):
            raise DataError(f"'{_shown(node)}' is not understood; use and, or, and comparisons.")
        return found

    def _value(self, node: Any) -> Value:
        kind = type(node).__name__
        if kind == "Var":
            return self._entry(node)
        if kind in _OPERATORS:
            values = [self._value(part) for part in _operands(node)]
            if kind == "Multiply":
                self._count(cost("*", values))
            return applied(_OPERATORS[kind], values, lambda: _shown(node))
        value = number(node.lexeme) if hasattr(node, "lexeme") else None
        if value is None:
            raise DataError(f"'{_shown(node)}' is not a linear term.")
        return Linear({}, value)

    def _count(self, products: int) -> None:
        if sum(1 for _ in islice(self._products, products)) < products:
            raise DataError("the property multiplies long sums many times over; simplify it.")

    def _entry(self, node: Any) -> Linear:
        start, shape = self.columns[node.name]
        indices = list(node.indices)
        # The package does not check that indices lie within the shape.
        if len(indices) != len(shape) or any(not 0 <= index < extent for index, extent in zip(indices, shape)):
            raise DataError(f"'{node.name}{indices}' is outside its declared shape {list(shape)}.")
        strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
        return Linear({start + sum(index * stride for index, stride in zip(indices, strides)): Fraction(1)})


def _operands(node: Any) -> list[Any]:
    """The operands of a node; their attributes' names depend on its kind."""
    if hasattr(node, "args"):
        return list(node.args)
    if hasattr(node, "head"):
        return [node.head, *node.rest]
    return [node.lhs, node.rhs] if hasattr(node, "lhs") else [node.expr]


def _shown(node: Any) -> str:
    return excerpt(str(node), 0)
