"""Rules: how an op type becomes a dual layer."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Union

import torch
from torch import Tensor

from autodual.dual.ball import Ball, Piece, stretches
from autodual.dual.ball_layer import BallLayer
from autodual.dual.execution import Executed, Run
from autodual.dual.family import LineFamily
from autodual.dual.layer import DualLayer
from autodual.dual.relaxation import LinearRelaxation, RelaxedLayer
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


class ProductRule(NonlinearRule):
    """The rule of sums of products of two operands."""

    @abstractmethod
    def product(self, first: Tensor, second: Tensor) -> Tensor:
        """The op applied to two tensors `first` and `second` `[N, *shape]`."""

    def reads(self, shapes: Sequence[Sequence[int]]) -> int:
        """How many products of two scalars an output sums, for operands of these `shapes`."""
        return 1

    def passed(self, operands: Sequence[Executed], errors: Sequence[Tensor]) -> Tensor:
        """The `errors` of the `operands` passed on: the error of xy is at most |x̂|e_y + |y|e_x."""
        x, y = operands
        return self.product(x.size, errors[1]) + self.product(errors[0], y.real.magnitude)

    def executed(self, op: Any, operands: Sequence[Executed], run: Run) -> Tensor:
        x, y = operands
        reached, count = self.product(x.size, y.size), self.reads([x.size.shape, y.size.shape])
        own = run.precision.gamma(count) * reached + 2 * count * run.precision.tiny
        passed = self.passed(operands, [x.error, y.error])
        return torch.where(reached < run.precision.largest / 2, passed + own, torch.inf)


class RelaxationRule(NonlinearRule):
    """The rule of an elementwise nonlinear op of one or several inputs: lines or planes that enclose it.

    All inputs and the output have the same shape.

    Example:
        >>> import torch
        >>> from autodual.dual import find_rule
        >>> from autodual.interval import Interval
        >>> from autodual.ir import Environment, ops
        >>> rule, environment = find_rule(ops.Relu()), Environment({}.__getitem__, torch.float32, torch.device("cpu"))
        >>> lines = rule.parallel(ops.Relu(), [Interval(torch.tensor([[-1.0]]), torch.tensor([[3.0]]))], environment)
        >>> lines.lower_slopes[0], lines.lower_intercept, lines.upper_intercept
        (tensor([[0.7500]]), tensor([[0.]]), tensor([[0.7500]]))
    """

    @abstractmethod
    def parallel(self, op: Any, bounds: Sequence[Interval], environment: Environment) -> LinearRelaxation:
        """The relaxation by two parallel lines (`lower_slopes is upper_slopes`): one pull serves both bounds.

        Args:
            op: the node's operation.
            bounds: one interval `[N, *shape]` per input.
            environment: evaluates the op's parameters.
        """

    @abstractmethod
    def adaptive(self, op: Any, bounds: Sequence[Interval], environment: Environment) -> LinearRelaxation:
        """The tightest pair of lines, by area.

        Args:
            op: the node's operation.
            bounds: one interval `[N, *shape]` per input.
            environment: evaluates the op's parameters.
        """

    def family(self, op: Any, bounds: Sequence[Interval], environment: Environment) -> LineFamily:
        """All mixtures of the adaptive and the parallel lines; a rule may override it with better ones.

        Args:
            op: the node's operation.
            bounds: one interval `[N, *shape]` per input.
            environment: evaluates the op's parameters.
        """
        return LineFamily(self.adaptive(op, bounds, environment), self.parallel(op, bounds, environment))

    def relax(
        self, op: Any, bounds: Sequence[Interval], environment: Environment, policy: SlopePolicy
    ) -> LinearRelaxation:
        """The relaxation under a slope policy.

        Args:
            op: the node's operation.
            bounds: one interval `[N, *shape]` per input.
            environment: evaluates the op's parameters.
            policy: "shared" gives the parallel lines, all others the adaptive ones.
        """
        relaxed = self.parallel if policy == "shared" else self.adaptive
        return relaxed(op, bounds, environment)

    def pieces(self, op: Any, bounds: Sequence[Interval], environment: Environment) -> tuple[Piece, ...]:
        """The op over stretches that cover the bounds, each with lines of its own.

        Args:
            op: the node's operation.
            bounds: one interval `[N, *shape]` per input.
            environment: evaluates the op's parameters.
        """
        found = []
        for stretch in stretches(bounds[0], self.cuts(op, bounds[0])):
            found.append(Piece(stretch, self.adaptive(op, [stretch], environment)))
        return tuple(found)

    def cuts(self, op: Any, bounds: Interval) -> Sequence[Tensor]:
        """Where to cut the op into `pieces`, in increasing order, each `[N, *shape]`; by default in four equal parts.

        Args:
            op: the node's operation.
            bounds: of its only operand, `[N, *shape]`.
        """
        return [bounds.lower + share * (bounds.upper - bounds.lower) for share in (0.25, 0.5, 0.75)]

    def in_ball(
        self,
        op: Any,
        bounds: Sequence[Interval],
        environment: Environment,
        layer: DualLayer,
        balls: Sequence[Ball],
        slack: float,
    ) -> DualLayer:
        if len(bounds) > 1:
            return layer
        lines, bends = self.parallel(op, bounds, environment), self.undecided(op, bounds, environment)
        assert isinstance(bends, Tensor)
        straight = None if lines.grounded else lines.lower_intercept
        return BallLayer(layer, self.pieces(op, bounds, environment), balls[0], bends, straight, slack)

    def layer(self, op: Any, bounds: Sequence[Interval], environment: Environment, policy: SlopePolicy) -> RelaxedLayer:
        return RelaxedLayer(self.relax(op, bounds, environment, policy))


Rule = Union[AffineRule, NonlinearRule]
