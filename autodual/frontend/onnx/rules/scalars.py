"""Rules of the ONNX operators that declared functions of one scalar go by."""

from __future__ import annotations

from typing import Any

from autodual.frontend.construction import Unsupported
from autodual.frontend.onnx.attributes import Attributes
from autodual.frontend.onnx.builder import OnnxBuilder
from autodual.frontend.onnx.operands import Branch
from autodual.frontend.onnx.registry import Rule, onnx_op
from autodual.ir import Op
from autodual.ir.scalars import Declaration, declarations
from autodual.ir.scalars.declaration import FromAttributes


def lower_declared(entry: Declaration, *, replace: bool = False) -> None:
    """Register a rule for each operator that an entry of the table names; `com.example::Bump` is one of a domain."""
    for operator, make in entry.onnx.items():
        domain, _, name = operator.rpartition("::")
        onnx_op(name, domain=domain, replace=replace)(_rule(entry.op, make, standard=not domain))


class _Read:
    """Attributes, and the names of those that were asked for."""

    def __init__(self, attributes: Attributes):
        self._attributes = attributes
        self.names: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.names.add(name)
        return self._attributes.get(name, default)


def _rule(op: type[Op], make: FromAttributes, *, standard: bool) -> Rule:
    def rule(builder: OnnxBuilder, attributes: Attributes, x: Branch) -> Branch:
        read = _Read(attributes)
        try:
            made = make(read)
        except ValueError as error:
            raise Unsupported(str(error)) from error
        # Old versions of standard operators have attributes that mean nothing here.
        if not standard and (unknown := sorted(set(attributes.values) - read.names)):
            raise Unsupported(f"{op.__name__} knows nothing of its attribute '{unknown[0]}'")
        return builder.unary(made, x)

    # An op that is declared again takes the place of its own rule, and of no other op's.
    rule.__module__, rule.__qualname__ = op.__module__, op.__qualname__
    return rule


for _entry in declarations():
    lower_declared(_entry)
