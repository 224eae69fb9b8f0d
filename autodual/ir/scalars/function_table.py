"""The table of functions of one scalar without parameters, one entry each.

An entry gives the op's documentation, value, slope and inflections, how well a run computes it, and its names in ATen
and ONNX. Inflections and extremes are to the last digit of double precision.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as functional

from autodual.ir.scalars import derivatives, entries
from autodual.ir.scalars.curve import Curve, Domain
from autodual.ir.scalars.declaration import LIBRARY, Accuracy, names_in
from autodual.ir.scalars.scalar_ops import ElementwiseOp, StairOp, WaveOp

_INFINITY = math.inf
# float64's π/2 lies below π/2, and so below the arctangents of large numbers.
_RIGHT_ANGLE = math.nextafter(math.pi / 2, _INFINITY)
_UNIT = (Domain(-1.0, 1.0),)

_curve = partial(entries.curve, accuracy=Accuracy(LIBRARY), module=__name__)
#: x times a function that rises from 0 to 1.
_gated = partial(entries.curve, accuracy=Accuracy(LIBRARY, of_operand=True), module=__name__)
_wave = partial(entries.entry, WaveOp, module=__name__)  # type: ignore[type-abstract]
_stairs = partial(entries.entry, StairOp, module=__name__)  # type: ignore[type-abstract]
#: Ops with a dual rule of their own.
_plain = partial(entries.entry, ElementwiseOp, module=__name__)  # type: ignore[type-abstract]

# Some libraries compute a sigmoid as (1 + tanh(x/2))/2.
Sigmoid = entries.curve(
    "Sigmoid",
    "1/(1 + e⁻ˣ).",
    Curve(torch.sigmoid, derivatives.sigmoid_slope, (0.0,), limits=(0.0, 1.0)),
    accuracy=Accuracy(LIBRARY, intermediate=1.0),
    aten="sigmoid",
    onnx="Sigmoid",
    module=__name__,
)
Tanh = _curve(
    "Tanh",
    "The hyperbolic tangent.",
    Curve(torch.tanh, derivatives.tanh_slope, (0.0,), limits=(-1.0, 1.0)),
    aten="tanh",
    onnx="Tanh",
)
Erf = _curve(
    "Erf",
    "The error function.",
    Curve(torch.erf, derivatives.erf_slope, (0.0,), limits=(-1.0, 1.0)),
    aten="erf",
    onnx="Erf",
)
Softsign = _curve(
    "Softsign",
    "x/(1 + |x|).",
    Curve(derivatives.softsign, derivatives.softsign_slope, (0.0,), limits=(-1.0, 1.0)),
    run=functional.softsign,
    onnx="Softsign",
)
Silu = _gated(
    "Silu",
    "x/(1 + e⁻ˣ), also called swish.",
    Curve(
        functional.silu,
        derivatives.silu_slope,
        (-2.3993572805154675, 2.3993572805154675),
        convex=False,
        turning=(-1.2784645427610737,),
    ),
    aten="silu",
)
Mish = _gated(
    "Mish",
    "x·tanh(log(1 + eˣ)).",
    Curve(
        functional.mish,
        derivatives.mish_slope,
        (-2.256376396360793, 1.4905711794854284),
        convex=False,
        turning=(-1.1924312145154952,),
    ),
    aten="mish",
    onnx="Mish",
)
HardSwish = _gated(
    "HardSwish",
    "x·min(max(x + 3, 0), 6)/6.",
    Curve(
        functional.hardswish,
        derivatives.hardswish_slope,
        (-3.0, 3.0),
        convex=False,
        knots=(-3.0, 3.0),
        turning=(-1.5,),
        straight=((-_INFINITY, -3.0), (3.0, _INFINITY)),
    ),
    aten="hardswish",
    onnx="HardSwish",
)
Exp = _curve("Exp", "eˣ.", Curve(torch.exp, torch.exp, limits=(0.0, _INFINITY)), aten="exp", onnx="Exp")
Log = _curve(
    "Log",
    "The natural logarithm of x > 0.",
    Curve(torch.log, torch.reciprocal, convex=False, domain=(Domain(0.0, open=True),)),
    aten="log",
    onnx="Log",
)

Sin = _wave("Sin", "The sine.", torch.sin, start=0.0, aten="sin", onnx="Sin")
Cos = _wave("Cos", "The cosine.", torch.cos, start=-math.pi / 2, aten="cos", onnx="Cos")
Tan = _plain("Tan", "The tangent, of x other than π/2 + kπ.", torch.tan, aten="tan", onnx="Tan")
Arcsin = _curve(
    "Arcsin",
    "The inverse sine, of -1 ≤ x ≤ 1.",
    Curve(
        torch.asin,
        derivatives.arcsin_slope,
        (0.0,),
        convex=False,
        limits=(-math.pi / 2, math.pi / 2),
        domain=_UNIT,
        inside=0.0,
    ),
    aten="asin",
    onnx="Asin",
)
Arccos = _curve(
    "Arccos",
    "The inverse cosine, of -1 ≤ x ≤ 1.",
    Curve(torch.acos, derivatives.arccos_slope, (0.0,), limits=(0.0, math.pi), domain=_UNIT, inside=0.0),
    aten="acos",
    onnx="Acos",
)
Arctan = _curve(
    "Arctan",
    "The inverse tangent.",
    Curve(torch.atan, derivatives.arctan_slope, (0.0,), limits=(-_RIGHT_ANGLE, _RIGHT_ANGLE)),
    aten="atan",
    onnx="Atan",
)

Sinh = _curve("Sinh", "(eˣ - e⁻ˣ)/2.", Curve(torch.sinh, torch.cosh, (0.0,), convex=False), aten="sinh", onnx="Sinh")
Cosh = _curve(
    "Cosh",
    "(eˣ + e⁻ˣ)/2.",
    Curve(torch.cosh, torch.sinh, turning=(0.0,), limits=(1.0, _INFINITY)),
    aten="cosh",
    onnx="Cosh",
)
Arcsinh = _curve(
    "Arcsinh",
    "The inverse hyperbolic sine, log(x + √(x² + 1)).",
    Curve(torch.asinh, derivatives.arcsinh_slope, (0.0,)),
    aten="asinh",
    onnx="Asinh",
)
Arccosh = _curve(
    "Arccosh",
    "The inverse hyperbolic cosine, of x ≥ 1.",
    Curve(
        torch.acosh, derivatives.arccosh_slope, convex=False, limits=(0.0, _INFINITY), domain=(Domain(1.0),), inside=2.0
    ),
    aten="acosh",
    onnx="Acosh",
)
Arctanh = _curve(
    "Arctanh",
    "The inverse hyperbolic tangent, of -1 < x < 1.",
    Curve(
        torch.atanh, derivatives.arctanh_slope, (0.0,), convex=False, domain=(Domain(-1.0, 1.0, open=True),), inside=0.0
    ),
    aten="atanh",
    onnx="Atanh",
)

Sign = _stairs("Sign", "-1, 0 or 1.", torch.sign, aten=("sign", "sgn"), onnx="Sign")
Floor = _stairs("Floor", "The largest whole number that is at most x.", torch.floor, aten="floor", onnx="Floor")
Ceil = _stairs("Ceil", "The smallest whole number that is at least x.", torch.ceil, aten="ceil", onnx="Ceil")
Round = _stairs("Round", "The nearest whole number, the even one of two.", torch.round, aten="round", onnx="Round")

if not TYPE_CHECKING:  # type checkers see all names, and only read lists of names that are written out
    __all__ = names_in(__name__)
