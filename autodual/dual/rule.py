"""Rules: how an op type becomes a dual layer."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Union

import torch
from torch import Tensor

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
    """The rule of an op that is affine in its inputs."""

    #: The equation or paper that the rule follows.
    source: str = ""
    #: Whether every output is a copy of one of the op's one input's scalars, so that bounds of the input are its own.
    moves: bool = False
    #: Whether it only moves or drops scalars of its one input: none of them is read twice.
    reads_once: bool = False

    @abstractmethod
    def layer(self, node: Node, shapes: Sequence[tuple[int, ...]], environment: Environment) -> DualLayer:
        """The dual layer of `node`, whose inputs have the sample shapes `shapes`, for one call."""


class NonlinearRule(ABC):
    """The rule of an op that needs bounds of its inputs `[N, *shape]` to become a dual layer.

    `op` is the node's operation; `environment` evaluates its parameters.
    """

    #: The equation or paper that the rule follows.
    source: str = ""
    #: Whether bounds are intersected with the op's own range under shared slopes too. Rectified linear units say no, so
    #: that shared slopes give the thesis' bounds to the last digit.
    contained: bool = True
    #: Whether neither the op nor its `range` ever rounds, because they only choose among given numbers.
    exact: bool = False
    #: Whether a run does not compute the op at all: it states what the graph knows of its operand.
    stated: bool = False

    @abstractmethod
    def undecided(self, op: Any, bounds: Sequence[Interval], environment: Environment) -> Undecided:
        """Where tighter bounds would give a tighter relaxation; NaN counts as undecided.

        A mask of the shape that all inputs have, or a tuple of one for each. Elsewhere (a ReLU whose sign is known) any
        bounds that decide the unit give the same relaxation.
        """

    @abstractmethod
    def range(self, op: Any, bounds: Sequence[Interval], environment: Environment) -> Interval:
        """The values of the op over the bounds, as tight as the bounds allow, `[N, *shape]`."""

    @abstractmethod
    def layer(self, op: Any, bounds: Sequence[Interval], environment: Environment, policy: SlopePolicy) -> DualLayer:
        """The dual layer over these bounds for one call; an adaptive one where slopes are to be optimized."""

    def limits(self, op: Any) -> tuple[float, float]:
        """Two numbers that the op's values never leave, whatever its operands; rounded bounds are cut to them."""
        return -math.inf, math.inf

    def executed(self, op: Any, operands: Sequence[Executed], run: Run) -> Tensor | None:
        """How far the op's value in a run may be from that in real arithmetic, `[N, *shape]`: what the operands' errors
        make of it, and what its own computation adds; infinite or NaN where nothing bounds it. None: not analysed, so
        that no run of a network is vouched for; all rules of the package have an analysis.
        """
        return None

    def hazard(self, op: Any) -> str:
        """What may happen in a run where no finite number bounds how far the op is off, though one does its operands;
        empty if only that a number overflows.
        """
        return ""

    def family(self, op: Any, bounds: Sequence[Interval], environment: Environment) -> LineFamily | None:
        """The relaxations that `optimized` slopes search, starting from the layer's own; None: there are no others."""
        return None


class ProductRule(NonlinearRule):
    """The rule of sums of products of two operands."""

    @abstractmethod
    def product(self, first: Tensor, second: Tensor) -> Tensor:
        """The op of any two numbers `[N, *shape]`."""

    def reads(self, shapes: Sequence[Sequence[int]]) -> int:
        """How many products of two scalars an output is a sum of, for operands of these shapes."""
        return 1

    def passed(self, operands: Sequence[Executed], errors: Sequence[Tensor]) -> Tensor:
        """What errors of the operands make of it: xy is off by |x̂|e_y + |y|e_x."""
        x, y = operands
        return self.product(x.size, errors[1]) + self.product(errors[0], y.real.magnitude)

    def executed(self, op: Any, operands: Sequence[Executed], run: Run) -> Tensor:
        x, y = operands
        reached, count = self.product(x.size, y.size), self.reads([x.size.shape, y.size.shape])
        own = run.precision.gamma(count) * reached + 2 * count * run.precision.tiny
        passed = self.passed(operands, [x.error, y.error])
        return torch.where(reached < run.precision.largest / 2, passed + own, torch.inf)


class RelaxationRule(NonlinearRule):
    """The rule of an elementwise nonlinear op of one or several inputs: how lines or planes enclose it.

    All inputs and the output have the same shape.
    """

    @abstractmethod
    def parallel(self, op: Any, bounds: Sequence[Interval], environment: Environment) -> LinearRelaxation:
        """The relaxation by two parallel lines (`lower_slopes is upper_slopes`): one pull serves both bounds."""

    @abstractmethod
    def adaptive(self, op: Any, bounds: Sequence[Interval], environment: Environment) -> LinearRelaxation:
        """The tightest pair of lines, by area."""

    def family(self, op: Any, bounds: Sequence[Interval], environment: Environment) -> LineFamily:
        """Between the adaptive lines and the parallel ones, unless a rule knows better."""
        return LineFamily(self.adaptive(op, bounds, environment), self.parallel(op, bounds, environment))

    def relax(
        self, op: Any, bounds: Sequence[Interval], environment: Environment, policy: SlopePolicy
    ) -> LinearRelaxation:
        """The relaxation under a slope policy."""
        relaxed = self.parallel if policy == "shared" else self.adaptive
        return relaxed(op, bounds, environment)

    def layer(self, op: Any, bounds: Sequence[Interval], environment: Environment, policy: SlopePolicy) -> RelaxedLayer:
        return RelaxedLayer(self.relax(op, bounds, environment, policy))


Rule = Union[AffineRule, NonlinearRule]
