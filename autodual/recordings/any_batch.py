"""Two recordings of one run, at two batch sizes, as one of any batch size."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

from torch import Tensor

from autodual.recordings.recorded_operations import Condition, Exchange, Extent, RecordedOperations, Step

_Steps = Step | Condition | Exchange


def over_batches(first: RecordedOperations, second: RecordedOperations) -> RecordedOperations:
    """The first recording with multiples of the batch size for whole numbers that are such in both.

    It is refused if either of both is, or if they differ in anything else.

    Args:
        first, second: the same run, at two batch sizes of at least 2, which are the first extents of the first input.
    """
    found = copy.copy(first)
    if second.refusal is not None:
        found.refuse(second.refusal)
        return found
    merge = _Merge(first.batch, second.batch)
    found.steps = [merge.step(one, other) for one, other in zip(first.steps, second.steps)]
    kept = [(len(one.steps), one.inputs, one.roots, one.changes, one.constants.keys()) for one in (first, second)]
    constants = (_equal(value, second.constants.get(slot)) for slot, value in first.constants.items())
    if not (merge.alike and kept[0] == kept[1] and all(constants)):
        found.refuse("what the run does depends on the batch size")
    return found


class _Merge:
    """Goes through two runs side by side; `alike` until they differ in more than the batch size."""

    def __init__(self, first: int, second: int):
        self.sizes = first, second
        self.alike = True

    def step(self, one: _Steps, other: _Steps) -> _Steps:
        """A step of both."""
        if not (isinstance(one, Step) and isinstance(other, Step)):
            self.alike &= one == other
            return one
        fixed = [(each.operation, each.results, each.single, each.idle, each.keywords.keys()) for each in (one, other)]
        self.alike &= fixed[0] == fixed[1]
        keywords = {name: self.value(value, other.keywords.get(name)) for name, value in one.keywords.items()}
        value = one.value if one.value is not None and _equal(one.value, other.value) else None
        return replace(one, arguments=self.value(one.arguments, other.arguments), keywords=keywords, value=value)

    def value(self, one: Any, other: Any) -> Any:
        """An argument of both."""
        if isinstance(one, tuple) and isinstance(other, tuple) and len(one) == len(other):
            return tuple(map(self.value, one, other))
        if type(one) is int and type(other) is int and one != other:
            times = one // self.sizes[0]
            self.alike &= (one, other) == (times * self.sizes[0], times * self.sizes[1])
            return Extent(times)
        same = one is other or (type(one) is type(other) and one == other)
        self.alike &= bool(same)
        return one


def _equal(one: Tensor, other: Tensor | None) -> bool:
    return other is not None and one.shape == other.shape and bool((one == other).all())
