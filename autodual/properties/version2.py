"""VNN-LIB 2.0, parsed and type-checked by the official `vnnlib` package.

Only its syntax tree is used. Its own conversions to linear terms and boxes drop coefficients below 1e-9 and lose
constraints of inputs beside a disjunction; either could prove a false property.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from autodual.errors import DataError, InvalidInputError
from autodual.properties.connectives import Value, applied
from autodual.properties.formulas import OUTPUTS, Formula, Linear, number
from autodual.properties.property import Variable
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
# "Unknown" is how the package (1.0.2) reports the type Real.
_TYPES = ("F32", "F64", "Unknown")


def read_version2(text: str) -> tuple[str, tuple[Variable, ...], tuple[Variable, ...], list[Formula]]:
    """The network's name, its inputs and outputs, and the asserted formulas.

    Raises:
        DataError: the text is not VNN-LIB 2.0, or holds what cannot be verified.
        InvalidInputError: the `vnnlib` package is not installed.
    """
    query = _parsed(text)
    if len(query.networks) != 1:
        raise DataError(f"the property is about {len(query.networks)} networks; only one can be verified at a time.")
    (network,) = query.networks
    if network.hidden:
        raise DataError(f"the property declares the hidden node '{network.hidden[0].name}'; only inputs and outputs "
                        "can be constrained.")  # fmt: skip
    inputs, outputs = _variables(network.inputs), _variables(network.outputs)
    reader = _Reader({**_columns(inputs, 0), **_columns(outputs, OUTPUTS)})
    return network.name, inputs, outputs, [reader.formula(assertion.expr) for assertion in query.assertions]


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


def _variables(definitions: Sequence[Any]) -> tuple[Variable, ...]:
    if not definitions:
        raise DataError("the property's network needs at least one input and one output.")
    for definition in definitions:
        if definition.dtype.name not in _TYPES:
            raise DataError(f"'{definition.name}' has the type {definition.dtype.name}; only real numbers, float32 and "
                            "float64 can be verified.")  # fmt: skip
    return tuple(Variable(entry.name, tuple(entry.shape), entry.onnx_name or None) for entry in definitions)


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
            return applied(_OPERATORS[kind], [self._value(part) for part in _operands(node)], lambda: _shown(node))
        value = number(node.lexeme) if hasattr(node, "lexeme") else None
        if value is None:
            raise DataError(f"'{_shown(node)}' is not a linear term.")
        return Linear({}, value)

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
