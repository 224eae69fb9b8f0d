"""Rules: how an op type becomes a dual layer. What every affine and every nonlinear op has to say."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Union

from torch import Tensor

from autodual.dual.ball import Ball
from autodual.dual.execution import Executed, Run
from autodual.dual.family import LineFamily
from autodual.dual.layer import DualLayer
from autodual.interval import Interval
from autodual.ir.expressions import Environment
from autodual.ir.graph import Node
from autodual.policies import SlopePolicy

#: Masks of the units of a nonlinear op's inputs: one for all of them, or one for each.
Undecided = Union[Tensor, tuple[Tensor, ...]]


class AffineRule(ABC):
    """The rule of an op that is affine in its inputs.

    Example:
        >>> from dataclasses import dataclass
        >>> from autodual.extend import AffineLayer, AffineRule, Op
        >>> from autodual.testing import check_dual_rule
        >>> @dataclass(frozen=True, eq=False)
        ... class Reversed(Op):
        ...     def forward(self, inputs, environment):
        ...         return inputs[0].flip(-1)
        >>> class ReversedRule(AffineRule):
        ...     def layer(self, node, shapes, environment):
        ...         return AffineLayer(node, shapes, environment, monotone=True)
        >>> check_dual_rule(ReversedRule, Reversed(), [(3,)])
    """

    #: The equation or paper that the rule follows.
    source: str = ""
    #: Whether every output is a copy of one scalar of the op's only input, so that bounds of the input hold for it.
    moves: bool = False
    #: Whether it only moves or drops scalars of its only input, and reads none of them twice.
    reads_once: bool = False
    #: Whether every output depends on at most one scalar of its only input, so that it is as exactly bounded as that.
    reads_one: bool = False

    @abstractmethod
    def layer(self, node: Node, shapes: Sequence[tuple[int, ...]], environment: Environment) -> DualLayer:
        """The dual layer of a node, for one call.

        Args:
            node: the node of the graph; its op has the attributes.
            shapes: the sample shape of each of its inputs.
            environment: evaluates the op's parameters, on the device and in the dtype of the call.
        """


class NonlinearRule(ABC):
    """The rule of an op that needs bounds of its inputs `[N, *shape]` to become a dual layer.

    Methods take the node's operation `op`; `bounds`, one interval `[N, *shape]` per input, NaN where nothing is known;
    and the `environment`, which evaluates the op's parameters on the device and in the dtype of the call.

    Example:
        >>> import torch
        >>> from autodual.dual import find_rule
        >>> from autodual.interval import Interval
        >>> from autodual.ir import Environment, ops
        >>> rule, environment = find_rule(ops.Relu()), Environment({}.__getitem__, torch.float32, torch.device("cpu"))
        >>> z = Interval(torch.tensor([[-1.0, 1.0]]), torch.tensor([[1.0, 2.0]]))
        >>> rule.undecided(ops.Relu(), [z], environment)
        tensor([[ True, False]])
        >>> rule.range(ops.Relu(), [z], environment).lower
        tensor([[0., 1.]])
    """

    #: The equation or paper that the rule follows.
    source: str = ""
    #: Whether bounds are intersected with the op's own range under shared slopes too. Rectified linear units say no, so
    #: that shared slopes give the thesis' bounds to the last digit.
    contained: bool = True
    #: Whether neither the op nor its `range` ever rounds, because they only choose among given numbers.
    exact: bool = False
    #: Whether the op only states known bounds of its operand, so that no run computes it.
    stated: bool = False

    @abstractmethod
    def undecided(self, op: Any, bounds: Sequence[Interval], environment: Environment) -> Undecided:
        """Where tighter bounds would give a tighter relaxation; NaN counts as undecided.

        Elsewhere (a ReLU whose sign is known) all bounds that decide the unit must give the same relaxation.

        Args:
            op: the node's operation.
            bounds: one interval `[N, *shape]` per input.
            environment: evaluates the op's parameters.

        Returns:
            A boolean mask `[N, *shape]` if all inputs have one shape, or a tuple of one mask per input.
        """

    @abstractmethod
    def range(self, op: Any, bounds: Sequence[Interval], environment: Environment) -> Interval:
        """The values of the op over the bounds, as tight as the bounds allow, `[N, *shape]`.

        Args:
            op: the node's operation.
            bounds: one interval `[N, *shape]` per input.
            environment: evaluates the op's parameters.
        """

    @abstractmethod
    def layer(self, op: Any, bounds: Sequence[Interval], environment: Environment, policy: SlopePolicy) -> DualLayer:
        """The dual layer over these bounds, for one call.

        Args:
            op: the node's operation.
            bounds: one interval `[N, *shape]` per input.
            environment: evaluates the op's parameters.
            policy: how slopes are chosen; "optimized" gives the adaptive layer, from which the search starts.
        """

    def limits(self, op: Any) -> tuple[float, float]:
        """Two numbers that the op's values never leave, whatever its operands; rounded bounds are cut to them.

        Args:
            op: the node's operation.
        """
        return -math.inf, math.inf

    def executed(self, op: Any, operands: Sequence[Executed], run: Run) -> Tensor | None:
        """Bound of the error of the op's value in a run: the operands' errors passed on, plus its own rounding.

        Args:
            op: the node's operation.
            operands: real values and errors of each operand.
            run: the constants and precision of the run.

        Returns:
            `[N, *shape]`, infinite or NaN where the error has no bound; None: not analysed, so that networks with this
            op cannot be certified as executed. All rules of the package have an analysis.
        """
        return None

    def hazard(self, op: Any) -> str:
        """What may go wrong in a run where the op's error has no finite bound though its operands' errors have one.

        Args:
            op: the node's operation.

        Returns:
            A clause such as "a denominator may be zero"; empty if only overflow may cause it.
        """
        return ""

    def family(self, op: Any, bounds: Sequence[Interval], environment: Environment) -> LineFamily | None:
        """The relaxations that `optimized` slopes search, starting from the layer's own; None: there are no others.

        Args:
            op: the node's operation.
            bounds: one interval `[N, *shape]` per input.
            environment: evaluates the op's parameters.
        """
        return None

    def family_in_ball(self, op: Any, bounds: Sequence[Interval], environment: Environment) -> LineFamily | None:
        """The relaxations to search where operands lie in balls too; by default the `family`.

        There the op's own values make what rows gain, wherever they leave the lines' slopes: slopes that are poor for
        a line can be good for a ball.

        Args:
            op: the node's operation.
            bounds: one interval `[N, *shape]` per input.
            environment: evaluates the op's parameters.
        """
        return self.family(op, bounds, environment)

    def steepness(self, op: Any, bounds: Sequence[Interval], environment: Environment) -> Tensor | None:
        """At most how many times further apart, in the Euclidean norm, the op's values are than its operands; None: not
        known.

        Args:
            op: the node's operation.
            bounds: one interval `[N, *shape]` per input.
            environment: evaluates the op's parameters.

        Returns:
            `[N or 1]`.
        """
        return None

    def in_ball(
        self,
        op: Any,
        bounds: Sequence[Interval],
        environment: Environment,
        layer: DualLayer,
        balls: Sequence[Ball],
        slack: float,
    ) -> DualLayer:
        """A layer of the op that is never looser than `layer`, where operands lie in balls too; by default itself.

        Args:
            op: the node's operation.
            bounds: one interval `[N, *shape]` per input.
            environment: evaluates the op's parameters.
            layer: of the op over these bounds.
            balls: one per input.
            slack: γ of sums over the node's units, where rounding is to be charged for; else 0.
        """
        return layer


Rule = Union[AffineRule, NonlinearRule]
