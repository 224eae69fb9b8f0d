"""What makes an op of one line: a class without parameters, and its entry in the table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

from autodual.ir.scalars.curve import Curve, Function
from autodual.ir.scalars.declaration import Accuracy, declare
from autodual.ir.scalars.op import CurveOp, ElementwiseOp

_Kind = TypeVar("_Kind", bound=ElementwiseOp)


def line(
    kind: type[_Kind],
    name: str,
    about: str,
    run: Function,
    *,
    aten: Any = (),
    onnx: Any = (),
    accuracy: Accuracy | None = None,
    module: str,
    **members: Any,
) -> type[_Kind]:
    """The op class of a function without parameters, which is put into the table.

    run: what torch computes. aten, onnx: the names, one or several, of operations without further arguments that mean
    the op. module: where the class will be found. members: further members of the class.
    """
    members.update(__doc__=about, __module__=module, function=lambda self, x: run(x))
    op: type[_Kind] = dataclass(frozen=True, eq=False)(type(name, (kind,), members))
    names = dict.fromkeys(_each(aten), op), dict.fromkeys(_each(onnx), lambda _: op())
    return declare(accuracy=accuracy, aten=names[0], onnx=names[1])(op)


def curve(name: str, about: str, known: Curve, *, run: Function | None = None, **options: Any) -> type[CurveOp]:
    """The op of a continuous function; `run` is what torch computes, if that is not the curve's own `value`."""
    return line(CurveOp, name, about, run or known.value, curve=lambda self: known, **options)  # type: ignore[type-abstract]


def _each(names: Any) -> tuple[Any, ...]:
    return tuple(names) if isinstance(names, (tuple, list)) else (names,)
