"""The rule of elementwise nonlinear ops: two linear functions that enclose the op, and the layers that follow."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from autodual.dual.ball import Ball, Piece, stretches
from autodual.dual.ball_layer import BallLayer
from autodual.dual.family import LineFamily
from autodual.dual.layer import DualLayer
from autodual.dual.relaxation import LinearRelaxation, RelaxedLayer
from autodual.dual.rule import NonlinearRule
from autodual.interval import Interval
from autodual.ir.expressions import Environment
from autodual.policies import SlopePolicy


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

    def split_points(self, op: Any, bounds: Interval) -> Sequence[Tensor]:
        """Where a search may split the operand of an op, `[N, *shape]` each, the likeliest first; by default at 0 or in
        the middle.

        Args:
            op: the node's operation.
            bounds: of its only operand, `[N, *shape]`.
        """
        middle = bounds.lower + (bounds.upper - bounds.lower) / 2
        zero = torch.zeros_like(middle)
        return torch.where((bounds.lower < 0) & (bounds.upper > 0), zero, middle), middle

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
