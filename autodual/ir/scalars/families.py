"""The table of functions of one scalar with parameters, and how each name of ATen and ONNX sets these."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as functional
from torch import Tensor

from autodual.ir.expressions import Environment, Expression, number
from autodual.ir.op import Op
from autodual.ir.scalars import derivatives
from autodual.ir.scalars.curve import Curve
from autodual.ir.scalars.declaration import LIBRARY, Accuracy, declare, names_in
from autodual.ir.scalars.scalar_ops import CurveOp, ElementwiseOp, StairOp

_INFINITY = math.inf
# The constants of the paper that introduced SELU, as torch has them; ONNX gives them in float32.
_SELU = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
_SELU_ONNX = 1.67326319217681884765625, 1.05070102214813232421875


@declare(aten={"relu": lambda: Relu()}, onnx={"Relu": lambda _: Relu()})
@dataclass(frozen=True, eq=False)
class Relu(ElementwiseOp):
    """max(x, 0)."""

    def function(self, x: Tensor) -> Tensor:
        return x.relu()


@declare(
    aten={
        "leaky_relu": lambda slope: LeakyRelu(number(slope)),
        "abs": lambda: LeakyRelu(number(-1)),
    },
    onnx={
        "LeakyRelu": lambda given: LeakyRelu(number(given.get("alpha", 0.01))),
        "Abs": lambda _: LeakyRelu(number(-1)),
    },
    examples=lambda: tuple(LeakyRelu(number(slope)) for slope in (0.1, -1.0, 2.0, 1.0, 0.0)),
)
@dataclass(frozen=True, eq=False)
class LeakyRelu(Op):
    """x where x ≥ 0, else slope · x; the slope, of any sign, broadcasts to one sample (leaky ReLU, PReLU, |x|)."""

    slope: Expression

    def forward(self, inputs: Sequence[Tensor], environment: Environment) -> Tensor:
        (x,) = inputs
        return torch.where(x >= 0, x, x * environment(self.slope))


def _clamped(lower: float | None = None, upper: float | None = None) -> Clamp:
    return Clamp(None if lower is None else float(lower), None if upper is None else float(upper))


@declare(
    accuracy=Accuracy(0),
    aten={
        **dict.fromkeys(("hardtanh", "clamp", "clip"), _clamped),
        "clamp_min": lambda lower: _clamped(lower),
        "clamp_max": lambda upper: _clamped(None, upper),
        "relu6": lambda: Clamp(0.0, 6.0),
    },
    examples=lambda: tuple(_clamped(*ends) for ends in ((-1, 1), (0, 6), (None, 0.5), (-0.5, None), (1, -1), (2, 2))),
)
@dataclass(frozen=True, eq=False)
class Clamp(CurveOp):
    """min(max(x, lower), upper); either end may be absent (clip, ReLU6, hardtanh)."""

    lower: float | None = None
    upper: float | None = None

    def function(self, x: Tensor) -> Tensor:
        return x.clamp(self.lower, self.upper)

    def curve(self) -> Curve:
        """Convex at the lower end, concave at the upper."""
        low = -_INFINITY if self.lower is None else self.lower
        high = _INFINITY if self.upper is None else self.upper
        limits = min(low, high), high
        if low >= high:  # torch takes the upper end for everything
            return Curve(self.function, torch.zeros_like, straight=((-_INFINITY, _INFINITY),), limits=limits)
        middle = (low + high) / 2
        both = math.isfinite(middle)
        return Curve(
            self.function,
            lambda z: derivatives.between(z, low, high),
            inflections=(middle,) if both else (),
            convex=both or math.isinf(high),
            knots=tuple(end for end in (low, high) if math.isfinite(end)),
            straight=((-_INFINITY, low), (low, high), (high, _INFINITY)),
            limits=limits,
        )


def _softplus(beta: float, threshold: float) -> Softplus:
    if not beta > 0:
        raise ValueError("softplus needs a positive beta")
    return Softplus(float(beta), float(threshold))


@declare(
    accuracy=Accuracy(LIBRARY, of_operand=True),
    aten={"softplus": _softplus},
    onnx={"Softplus": lambda _: Softplus()},
    examples=lambda: (Softplus(), Softplus(3.0, 5.0)),
)
@dataclass(frozen=True, eq=False)
class Softplus(CurveOp):
    """log(1 + eᵇˣ)/b with b = beta > 0.

    torch replaces it by x where bx > threshold; the difference is at most e^(-threshold)/b, and this op does the same.
    """

    beta: float = 1.0
    threshold: float = 20.0

    def function(self, x: Tensor) -> Tensor:
        return functional.softplus(x, self.beta, self.threshold)

    def curve(self) -> Curve:
        """Convex; without the threshold, which the rule allows for."""
        return Curve(
            lambda z: derivatives.softplus(z * self.beta) / self.beta,
            lambda z: (z * self.beta).sigmoid(),
            limits=(0.0, _INFINITY),
        )


@declare(
    # e^x - 1 may be computed literally.
    accuracy=lambda op: Accuracy(LIBRARY, of_operand=True, intermediate=abs(op.scale * op.alpha)),
    aten={
        "elu": lambda alpha, scale, input_scale: Elu(float(alpha), float(scale), float(input_scale)),
        "selu": lambda: Elu(*_SELU),
        "celu": lambda alpha: Elu(float(alpha), 1.0, 1.0 / alpha),
    },
    onnx={
        "Elu": lambda given: Elu(given.get("alpha", 1.0)),
        "Selu": lambda given: Elu(given.get("alpha", _SELU_ONNX[0]), given.get("gamma", _SELU_ONNX[1])),
        "Celu": lambda given: Elu(given.get("alpha", 1.0), input_scale=1 / given.get("alpha", 1.0)),
    },
    examples=lambda: (Elu(), Elu(*_SELU), Elu(input_scale=0.5), Elu(2.0), Elu(-1.0)),
)
@dataclass(frozen=True, eq=False)
class Elu(CurveOp):
    """scale · x where x > 0, else scale · alpha · (e^(input_scale · x) - 1) (ELU, SELU, CELU)."""

    alpha: float = 1.0
    scale: float = 1.0
    input_scale: float = 1.0

    def function(self, x: Tensor) -> Tensor:
        negative = self.alpha * torch.expm1(x.clamp(max=0) * self.input_scale)
        return self.scale * torch.where(x > 0, x, negative)

    def curve(self) -> Curve:
        """An exponential up to 0, where the slope may jump up or down, then a straight line."""
        steepness = self.scale * self.alpha * self.input_scale
        exponential_convex = steepness * self.input_scale >= 0
        corner_convex = self.scale >= steepness
        if steepness == 0:
            exponential_convex = corner_convex

        def slope(z: Tensor) -> Tensor:
            negative = steepness * torch.exp(z.clamp(max=0) * self.input_scale)
            return torch.where(z >= 0, torch.full_like(z, self.scale), negative)

        return Curve(
            self.function,
            slope,
            inflections=() if exponential_convex == corner_convex else (0.0,),
            convex=exponential_convex,
            knots=(0.0,),
            straight=((0.0, _INFINITY),),
        )


_GELU = Curve(
    derivatives.gelu,
    derivatives.gelu_slope,
    inflections=(-math.sqrt(2), math.sqrt(2)),
    convex=False,
    turning=(-0.7517915246935645,),
)
_GELU_TANH = Curve(
    derivatives.gelu_tanh,
    derivatives.gelu_tanh_slope,
    inflections=(-1.4185040087908283, 1.4185040087908283),
    convex=False,
    turning=(-0.7524614220710163,),
)


@declare(
    accuracy=Accuracy(LIBRARY, of_operand=True),
    aten={"gelu": lambda approximate: Gelu(approximate == "tanh")},
    onnx={"Gelu": lambda given: Gelu(given.get("approximate", "none") == "tanh")},
    examples=lambda: (Gelu(), Gelu(tanh=True)),
)
@dataclass(frozen=True, eq=False)
class Gelu(CurveOp):
    """x·Φ(x), or its approximation by tanh."""

    tanh: bool = False

    def function(self, x: Tensor) -> Tensor:
        return functional.gelu(x, approximate="tanh" if self.tanh else "none")

    def curve(self) -> Curve:
        return _GELU_TANH if self.tanh else _GELU


@declare(
    accuracy=Accuracy(LIBRARY, of_operand=True),
    aten={"softshrink": lambda width: Softshrink(float(width))},
    examples=lambda: (Softshrink(), Softshrink(0.0)),
)
@dataclass(frozen=True, eq=False)
class Softshrink(CurveOp):
    """x moved towards zero by `width` ≥ 0, and zero nearer to it."""

    width: float = 0.5

    def function(self, x: Tensor) -> Tensor:
        return functional.softshrink(x, self.width)

    def curve(self) -> Curve:
        """Concave at -width, convex at width."""
        width = self.width
        return Curve(
            self.function,
            lambda z: 1 - derivatives.between(z, -width, width),
            inflections=(0.0,),
            convex=False,
            knots=(-width, width),
            straight=((-_INFINITY, -width), (-width, width), (width, _INFINITY)),
        )


@declare(examples=lambda: (Step(), Step(inclusive=True)))
@dataclass(frozen=True, eq=False)
class Step(StairOp):
    """1 where x > 0, or where x ≥ 0 if `inclusive`, else 0: what comparisons of branches become."""

    inclusive: bool = False

    def function(self, x: Tensor) -> Tensor:
        return (x >= 0 if self.inclusive else x > 0).to(x.dtype)


if not TYPE_CHECKING:  # type checkers see all names, and only read lists of names that are written out
    __all__ = names_in(__name__)
