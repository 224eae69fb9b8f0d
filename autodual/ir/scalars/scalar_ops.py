"""The kinds of functions of one scalar, by what is known of them; each kind has one dual rule."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from autodual.ir.expressions import Environment
from autodual.ir.op import Op
from autodual.ir.scalars.curve import Curve

# Functions without turning points that rise between this and its negative rise everywhere.
_LOOKED_AT = 8.0


class ElementwiseOp(Op):
    """An op whose output is a function of one scalar at a time, without parameters of the model.

    Example:
        >>> import torch
        >>> from autodual.ir import ops
        >>> issubclass(ops.Sign, ops.ElementwiseOp), ops.Sign().function(torch.tensor([-2.0, 3.0]))
        (True, tensor([-1.,  1.]))
    """

    @abstractmethod
    def function(self, x: Tensor) -> Tensor:
        """The function, elementwise.

        Args:
            x: a tensor of any shape.
        """

    def forward(self, inputs: Sequence[Tensor], environment: Environment) -> Tensor:
        return self.function(inputs[0])


class CurveOp(ElementwiseOp):
    """A continuous function that is convex and concave by turns.

    Example:
        >>> import torch
        >>> from autodual.ir import ops
        >>> ops.Tanh().curve().inflections, ops.Tanh().function(torch.zeros(1))
        ((0.0,), tensor([0.]))
    """

    @abstractmethod
    def curve(self) -> Curve:
        """The function with its slope, inflections and so on, for this op's parameters."""

    def function(self, x: Tensor) -> Tensor:
        return self.curve().value(x)

    def keeps_order(self, shape: Sequence[int]) -> bool:
        known = self.curve()
        slopes = known.slope(torch.linspace(-_LOOKED_AT, _LOOKED_AT, 65))  # NaN outside the domain
        return not known.turning and bool((slopes.isnan() | (slopes >= 0)).all())


class WaveOp(ElementwiseOp):
    """A sine of x - start."""

    #: Where the wave rises through zero.
    start: ClassVar[float]


class StairOp(ElementwiseOp):
    """A non-decreasing step function. Attacks see the slope of the identity in it."""

    continuous = False

    def surrogate(self, inputs: Sequence[Tensor], environment: Environment) -> Tensor:
        return inputs[0]
