"""The attributes of one operator as plain Python values, and the operator set's version that gives them meaning."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from autodual.frontend.construction import Unsupported
from autodual.frontend.onnx.operands import Branch, Static
from autodual.frontend.onnx.stored_tensors import array_of

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True, eq=False)
class Attributes:
    """Attributes by name. opset: the operator set's version. results: for each result, whether anything reads it."""

    opset: int
    values: Mapping[str, Any] = field(default_factory=dict)
    results: tuple[bool, ...] = (True,)

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute, or `default` where it is left out."""
        return self.values.get(name, default)

    def axes(self, operand: Branch | Static | None, name: str = "axes") -> tuple[int, ...] | None:
        """Whole numbers given as an attribute in old operator sets and as an operand in newer ones; None if absent."""
        if operand is not None:
            return whole_numbers(operand, name)
        found = self.get(name)
        return None if found is None else tuple(int(entry) for entry in ([found] if isinstance(found, int) else found))


def attributes_of(name: str, node: onnx.NodeProto, opset: int, read: Collection[str]) -> Attributes:
    """Those of an operator in the file `name`; `read`: the values that anything reads."""
    from onnx import AttributeProto, helper

    values = {}
    for attribute in node.attribute:
        value = helper.get_attribute_value(attribute)
        if attribute.type == AttributeProto.TENSOR:
            value = array_of(name, value)
        elif isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        elif attribute.type in (AttributeProto.INTS, AttributeProto.FLOATS):
            value = tuple(value)
        values[attribute.name] = value
    return Attributes(opset, values, tuple(result in read for result in node.output))


def fixed(operand: Branch | Static | None, role: str) -> Static:
    """The operand, which must be a constant; `role` is what a message calls it."""
    if not isinstance(operand, Static):
        raise Unsupported(
            f"it has no {role}" if operand is None else f"its {role} must not depend on the network's input"
        )
    return operand


def whole_numbers(operand: Branch | Static | None, role: str) -> tuple[int, ...]:
    """The entries of a constant operand of whole numbers."""
    return tuple(int(entry) for entry in fixed(operand, role).array.reshape(-1))


def finite(number: float) -> float:
    """The number, which must be neither NaN nor infinite."""
    if not math.isfinite(number):
        raise Unsupported("it computes with a constant that is NaN or infinite")
    return number


def placed(axes: Sequence[int], rank: int) -> tuple[int, ...]:
    """Axes of a value with `rank` axes, counted from 0; ONNX counts negative ones from the end."""
    for axis in axes:
        if not -rank <= axis < rank:
            raise Unsupported(f"it works along axis {axis} of a value with {rank} axes")
    return tuple(axis % rank for axis in axes)


def first_read_only(attributes: Attributes, what: str) -> None:
    """Refuse an operator if anything reads another result than its first; `what` is what a message calls the others."""
    if any(attributes.results[1:]):
        raise Unsupported(f"its {what} are read, which has no rule")
