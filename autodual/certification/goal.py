"""Which specification is meant when a caller gives labels, a specification or neither."""

from __future__ import annotations

from torch import Tensor

from autodual.inputs import Labels
from autodual.network import DualNetwork
from autodual.specs import Specification
from autodual.specs.chosen_goal import goal_of


def chosen_goal(dual: DualNetwork, outputs: Tensor, labels: Labels | None, spec: Specification | None) -> Specification:
    """The specification, or that the labels' classes win: of the classes with the largest outputs without labels.

    Raises InvalidInputError where both are given, and where what is given does not fit the nominal outputs `[N,
    *shape]`: before anything expensive.
    """
    return goal_of(outputs, labels, spec, dual.class_axis)
