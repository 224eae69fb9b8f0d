"""Functions that turn a line of the table into an op class without parameters, and its entry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

from autodual.ir.op import Op
from autodual.ir.scalars.curve import Curve, Function
from autodual.ir.scalars.declaration import Accuracy, Declaration, record
from autodual.ir.scalars.scalar_ops import CurveOp, ElementwiseOp

#: One name, or several.
Names = Any
_Kind = TypeVar("_Kind", bound=ElementwiseOp)
_CURVE: type[CurveOp] = CurveOp  # type: ignore[type-abstract]


def entry(
    kind: type[_Kind],
    name: str,
    about: str,
    run: Function,
    *,
    aten: Names = (),
    onnx: Names = (),
    accuracy: Accuracy | None = None,
    module: str,
    **members: Any,
) -> type[_Kind]:
    """The op class of a function without parameters; it is put into the table.

    Args:
        kind: the base class, which decides the dual rule.
        name: the class's name.
        about: its docstring.
        run: what torch computes.
        aten: a name of an ATen operation that is this op and takes no further arguments, or several.
        onnx: likewise of an ONNX operator.
        accuracy: how well a run computes it; None: not analysed.
        module: the class's `__module__`.
        members: further members of the class.
    """
    op = _class(kind, name, about, run, module, **members)
    record(plain_entry(op, accuracy, aten, onnx))
    return op


def curve(name: str, about: str, known: Curve, *, run: Function | None = None, **options: Any) -> type[CurveOp]:
    """The op of a continuous function, put into the table.

    Args:
        name: the class's name.
        about: its docstring.
        known: the function with its slope, inflections and so on.
        run: what torch computes, if that is not `known.value`.
        options: further arguments of `entry`.
    """
    return entry(_CURVE, name, about, run or known.value, curve=lambda self: known, **options)


def curve_class(name: str, about: str, known: Curve, module: str) -> type[CurveOp]:
    """The op class `name` of the function `known`, in `module`, with the docstring `about`; not in the table."""
    return _class(_CURVE, name, about, known.value, module, curve=lambda self: known)


def plain_entry(op: type[Op], accuracy: Accuracy | None, aten: Names, onnx: Names) -> Declaration:
    """The entry of an `op` without parameters, run to an `accuracy`; `aten` and `onnx` take no further arguments."""
    return Declaration(op, accuracy, dict.fromkeys(_each(aten), op), dict.fromkeys(_each(onnx), lambda _: op()))


def _each(names: Names) -> tuple[Any, ...]:
    return tuple(names) if isinstance(names, (tuple, list)) else (names,)


def _class(kind: type[_Kind], name: str, about: str, run: Function, module: str, **members: Any) -> type[_Kind]:
    members.update(__doc__=about, __module__=module, function=lambda self, x: run(x))
    return dataclass(frozen=True, eq=False)(type(name, (kind,), members))
