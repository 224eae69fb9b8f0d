"""Which specification is meant when a caller gives labels, a specification or neither."""

from __future__ import annotations

from torch import Tensor

from autodual.errors import InvalidInputError
from autodual.inputs import Labels
from autodual.network import DualNetwork
from autodual.specs import ClassMargin, Specification


def chosen_goal(dual: DualNetwork, outputs: Tensor, labels: Labels | None, spec: Specification | None) -> Specification:
    """The specification, or that the labels' classes win: of the classes with the largest outputs without labels.

    Raises InvalidInputError where both are given, and where what is given does not fit the nominal outputs `[N,
    *shape]`: before anything expensive.
    """
    if spec is not None and labels is not None:
        raise InvalidInputError(
            "give either labels or a specification, not both; specifications of classes hold labels"
        )
    if spec is None:
        spec = ClassMargin(dual.predicted(outputs) if labels is None else labels, dual.class_axis)
    elif not isinstance(spec, Specification):
        raise InvalidInputError(f"spec must be a specification (autodual.specs), not a {type(spec).__name__}")
    spec.rows(outputs)
    return spec
