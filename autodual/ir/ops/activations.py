"""Nonlinear functions of each scalar."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from torch import Tensor

from autodual.ir.expressions import Environment, Expression
from autodual.ir.op import Op


@dataclass(frozen=True, eq=False)
class Relu(Op):
    """max(x, 0)."""

    def forward(self, inputs: Sequence[Tensor], environment: Environment) -> Tensor:
        return inputs[0].relu()


@dataclass(frozen=True, eq=False)
class LeakyRelu(Op):
    """x where x ≥ 0, else slope · x; the slope, of any sign, broadcasts to one sample (leaky ReLU, PReLU, |x|)."""

    slope: Expression

    def forward(self, inputs: Sequence[Tensor], environment: Environment) -> Tensor:
        (x,) = inputs
        return torch.where(x >= 0, x, x * environment(self.slope))


class ElementwiseOp(Op):
    """An op whose output is a function of one scalar at a time, without parameters of the model."""

    @abstractmethod
    def function(self, x: Tensor) -> Tensor:
        """The function, elementwise on a tensor of any shape."""

    def forward(self, inputs: Sequence[Tensor], environment: Environment) -> Tensor:
        return self.function(inputs[0])


@dataclass(frozen=True, eq=False)
class Clamp(ElementwiseOp):
    """min(max(x, lower), upper), either end of which may be absent (clip, ReLU6, hardtanh)."""

    lower: float | None = None
    upper: float | None = None

    def function(self, x: Tensor) -> Tensor:
        return x.clamp(self.lower, self.upper)


@dataclass(frozen=True, eq=False)
class Sigmoid(ElementwiseOp):
    """1/(1 + e⁻ˣ)."""

    def function(self, x: Tensor) -> Tensor:
        return x.sigmoid()


@dataclass(frozen=True, eq=False)
class Tanh(ElementwiseOp):
    """The hyperbolic tangent."""

    def function(self, x: Tensor) -> Tensor:
        return x.tanh()


@dataclass(frozen=True, eq=False)
class Erf(ElementwiseOp):
    """The error function."""

    def function(self, x: Tensor) -> Tensor:
        return x.erf()


@dataclass(frozen=True, eq=False)
class Softsign(ElementwiseOp):
    """x/(1 + |x|)."""

    def function(self, x: Tensor) -> Tensor:
        return functional.softsign(x)


@dataclass(frozen=True, eq=False)
class Softplus(ElementwiseOp):
    """log(1 + eᵇˣ)/b with b = beta > 0.

    torch replaces it by x where bx > threshold; the difference is at most e^(-threshold)/b, and this op does the same.
    """

    beta: float = 1.0
    threshold: float = 20.0

    def function(self, x: Tensor) -> Tensor:
        return functional.softplus(x, self.beta, self.threshold)


@dataclass(frozen=True, eq=False)
class Elu(ElementwiseOp):
    """scale · x where x > 0, else scale · alpha · (e^(input_scale · x) - 1) (ELU, SELU, CELU)."""

    alpha: float = 1.0
    scale: float = 1.0
    input_scale: float = 1.0

    def function(self, x: Tensor) -> Tensor:
        negative = self.alpha * torch.expm1(x.clamp(max=0) * self.input_scale)
        return self.scale * torch.where(x > 0, x, negative)


@dataclass(frozen=True, eq=False)
class Gelu(ElementwiseOp):
    """x·Φ(x), or its approximation by tanh."""

    tanh: bool = False

    def function(self, x: Tensor) -> Tensor:
        return functional.gelu(x, approximate="tanh" if self.tanh else "none")


@dataclass(frozen=True, eq=False)
class Silu(ElementwiseOp):
    """x/(1 + e⁻ˣ), also called swish."""

    def function(self, x: Tensor) -> Tensor:
        return functional.silu(x)


@dataclass(frozen=True, eq=False)
class Mish(ElementwiseOp):
    """x·tanh(log(1 + eˣ))."""

    def function(self, x: Tensor) -> Tensor:
        return functional.mish(x)


@dataclass(frozen=True, eq=False)
class HardSwish(ElementwiseOp):
    """x·min(max(x + 3, 0), 6)/6."""

    def function(self, x: Tensor) -> Tensor:
        return functional.hardswish(x)


@dataclass(frozen=True, eq=False)
class Softshrink(ElementwiseOp):
    """x moved towards zero by `width` ≥ 0, and zero nearer to it."""

    width: float = 0.5

    def function(self, x: Tensor) -> Tensor:
        return functional.softshrink(x, self.width)


@dataclass(frozen=True, eq=False)
class Exp(ElementwiseOp):
    """eˣ."""

    def function(self, x: Tensor) -> Tensor:
        return x.exp()


@dataclass(frozen=True, eq=False)
class Log(ElementwiseOp):
    """The natural logarithm of x > 0."""

    def function(self, x: Tensor) -> Tensor:
        return x.log()


@dataclass(frozen=True, eq=False)
class Power(ElementwiseOp):
    """xᵖ for a constant exponent: of every x for whole p ≥ 0, of x ≠ 0 for whole p < 0, else of x ≥ 0 or x > 0.

    Squares, square roots (p = ½), reciprocals (p = -1) and reciprocal square roots are powers.
    """

    exponent: float

    def function(self, x: Tensor) -> Tensor:
        if self.exponent == 2:
            return x * x
        if self.exponent == 0.5:
            return x.sqrt()
        if self.exponent == -1:
            return x.reciprocal()
        if self.exponent == -0.5:
            return x.rsqrt()
        whole = float(self.exponent).is_integer()
        return x.pow(int(self.exponent) if whole else self.exponent)
