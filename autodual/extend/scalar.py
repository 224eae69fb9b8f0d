"""User-defined functions of one scalar, each in one call: op, dual rule, and lowerings from PyTorch and ONNX."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from autodual.dual.scalars import register_kind
from autodual.frontend.onnx.rules.scalars import lower_declared as lower_onnx
from autodual.frontend.torch.rules.scalars import lower_declared as lower_torch
from autodual.ir.scalars import Accuracy, Curve, CurveOp, Declaration, Domain, record
from autodual.ir.scalars.curve import Function
from autodual.ir.scalars.entries import curve_class, plain_entry

_Family = TypeVar("_Family", bound=CurveOp)


def scalar_op(
    name: str,
    value: Function,
    slope: Function,
    *,
    inflections: Sequence[float] = (),
    convex: bool = True,
    turning: Sequence[float] = (),
    knots: Sequence[float] = (),
    straight: Sequence[tuple[float, float]] = (),
    limits: tuple[float, float] = (-math.inf, math.inf),
    domain: Sequence[Domain] = (),
    inside: float = 1.0,
    accuracy: Accuracy | None = None,
    aten: Any = (),
    onnx: str | Sequence[str] = (),
    about: str = "",
    replace: bool = False,
) -> type[CurveOp]:
    """Declare a function of one scalar: from here on models that call it are certified, trained and attacked.

    A wrong slope or a forgotten inflection makes wrong certificates: run `autodual.testing.check_dual_rule` on the op
    to find it.

    Args:
        name: the op's name, such as "Bump"; texts of graphs show it in snake case.
        value: the function, elementwise on a tensor of any shape, differentiable.
        slope: its derivative, likewise; at a knot any value between the one-sided ones.
        inflections: where the curvature changes sign, in increasing order.
        convex: whether the function is convex before the first inflection; False: concave.
        turning: where it has its local extremes.
        knots: where its slope jumps.
        straight: stretches `(start, end)` on which it is affine.
        limits: two numbers that its computed values never leave.
        domain: the stretches on which it is defined, if not everywhere.
        inside: a point well within the domain, where value and slope are finite.
        accuracy: how well a run computes it; None: not known, so that `deployed` certificates are refused.
        aten: an operation of ATen or `torch.library` that computes it, or several: by name (`"i0"`, `"mylib::bump"`) or
            itself (`torch.ops.aten.i0.default`).
        onnx: an ONNX operator that computes it, or several: `"com.example::Bump"`.
        about: one line of documentation.
        replace: replace the rules that lower these operations now.

    Returns:
        The class of the op; `lowers_module` rules may emit it too.

    Raises:
        ValueError: another op or rule already lowers one of the operations.

    Example:
        >>> import torch
        >>> from autodual.extend import scalar_op
        >>> from autodual.testing import check_dual_rule
        >>> Cubed = scalar_op("Cubed", lambda z: z**3, lambda z: 3 * z**2, inflections=(0.0,), convex=False)
        >>> check_dual_rule(Cubed())
    """
    known = Curve(
        value,
        slope,
        tuple(inflections),
        convex,
        tuple(knots),
        tuple(turning),
        tuple(straight),
        limits=limits,
        domain=tuple(domain),
        inside=inside,
    )
    op = curve_class(name, about or f"{name}, a function of one scalar.", known, sys._getframe(1).f_globals["__name__"])
    _register(plain_entry(op, accuracy, aten, onnx), replace)
    return op


def scalar_family(
    *,
    accuracy: Accuracy | Callable[[Any], Accuracy] | None = None,
    aten: Mapping[Any, Callable[..., Any]] | None = None,
    onnx: Mapping[str, Callable[[Any], Any]] | None = None,
    replace: bool = False,
) -> Callable[[type[_Family]], type[_Family]]:
    """Class decorator that declares functions of one scalar with parameters.

    The class is a frozen dataclass whose fields are the parameters. It derives from `CurveOp` and defines
    `curve()`; it may define `function(x)` where a run computes the value in another way.

    Args:
        accuracy: as of `scalar_op`, or a function of the op that gives it.
        aten: for each operation a function from its arguments after the first to the op; it raises ValueError with
            the reason if it cannot make one.
        onnx: for each operator a function from its attributes, read by `get(name, default)`, to the op.
        replace: replace the rules that lower these operations now.

    Raises:
        ValueError: another op or rule already lowers one of the operations.

    Example:
        >>> import torch
        >>> from dataclasses import dataclass
        >>> from autodual.extend import Curve, CurveOp, scalar_family
        >>> @scalar_family(onnx={"com.example::Bent": lambda given: Bent(given.get("bend", 1.0))})
        ... @dataclass(frozen=True, eq=False)
        ... class Bent(CurveOp):
        ...     bend: float = 1.0
        ...     def curve(self):
        ...         return Curve(lambda z: self.bend * z**2, lambda z: 2 * self.bend * z, turning=(0.0,))
    """

    def register(op: type[_Family]) -> type[_Family]:
        _register(Declaration(op, accuracy, aten or {}, onnx or {}), replace)
        return op

    return register


def _register(entry: Declaration, replace: bool) -> None:
    lower_torch(entry, replace=replace)
    lower_onnx(entry, replace=replace)
    register_kind(entry.op)
    record(entry)
