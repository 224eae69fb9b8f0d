"""Rules: how an op type becomes a dual layer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Union

from torch import Tensor

from autodual.dual.layer import DualLayer
from autodual.dual.relaxation import LinearRelaxation, RelaxedLayer
from autodual.interval import Interval
from autodual.ir.expressions import Environment
from autodual.ir.graph import Node
from autodual.policies import SlopePolicy


class AffineRule(ABC):
    """The rule of an op that is affine in its inputs."""

    @abstractmethod
    def layer(self, node: Node, shapes: Sequence[tuple[int, ...]], environment: Environment) -> DualLayer:
        """The dual layer of `node`, whose inputs have the sample shapes `shapes`, for one call."""


class RelaxationRule(ABC):
    """The rule of a nonlinear op: how it is enclosed by linear functions over the bounds of its inputs.

    All inputs and the output have the same shape.
    """

    @abstractmethod
    def undecided(self, bounds: Sequence[Interval]) -> Tensor:
        """Where tighter bounds would give a tighter relaxation: bool `[N, *shape]`; NaN counts as undecided.

        Elsewhere (a ReLU whose sign is known) any bounds that decide the unit give the same relaxation.
        """

    @abstractmethod
    def parallel(self, bounds: Sequence[Interval]) -> LinearRelaxation:
        """The relaxation by two parallel lines (`lower_slopes is upper_slopes`): one pull serves both bounds."""

    @abstractmethod
    def adaptive(self, bounds: Sequence[Interval]) -> LinearRelaxation:
        """The tightest pair of lines, by area."""

    def relax(self, bounds: Sequence[Interval], policy: SlopePolicy) -> LinearRelaxation:
        return self.parallel(bounds) if policy == "shared" else self.adaptive(bounds)

    def layer(self, bounds: Sequence[Interval], policy: SlopePolicy) -> RelaxedLayer:
        """The dual layer over these bounds for one call."""
        return RelaxedLayer(self.relax(bounds, policy))


Rule = Union[AffineRule, RelaxationRule]
