"""Which specification is meant when a caller gives labels, a specification or neither."""

from __future__ import annotations

from torch import Tensor

from autodual.errors import InvalidInputError
from autodual.inputs import Labels
from autodual.specs.base import Specification
from autodual.specs.classes import ClassMargin
from autodual.specs.label_map import class_count


def goal_of(outputs: Tensor, labels: Labels | None, spec: Specification | None, class_axis: int) -> Specification:
    """The specification, or that the labels' classes win: of the classes with the largest outputs without labels.

    Args:
        outputs: the nominal ones, `[N, *shape]`.
        labels: `[N]`, or label maps.
        spec: any other property.
        class_axis: which axis of the outputs holds the classes.

    Raises:
        InvalidInputError: both are given, or what is given does not fit the outputs.
    """
    if spec is not None and labels is not None:
        raise InvalidInputError(
            "give either labels or a specification, not both; specifications of classes hold labels"
        )
    if spec is None:
        if labels is None:
            class_count(outputs.shape, class_axis)
            labels = outputs.argmax(class_axis)
        spec = ClassMargin(labels, class_axis)
    elif not isinstance(spec, Specification):
        raise InvalidInputError(f"spec must be a specification (autodual.specs), not a {type(spec).__name__}")
    spec.rows(outputs)
    return spec
