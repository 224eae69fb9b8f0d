"""Numbers of a property, as they stand or as float32 rounds them, and the float32 numbers of its boxes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy

from autodual.properties import Case


def lower_reading(values: numpy.ndarray) -> numpy.ndarray:
    """The lower of a number and what float32 rounds it to, where that is a number."""
    with numpy.errstate(over="ignore"):
        single = values.astype(numpy.float32).astype(numpy.float64)
    return numpy.where(numpy.isfinite(single), numpy.minimum(values, single), values)


def upper_reading(values: numpy.ndarray) -> numpy.ndarray:
    """The higher of a number and what float32 rounds it to, where that is a number."""
    return -lower_reading(-values)


def float32_ends(cases: Sequence[Case]) -> tuple[numpy.ndarray, numpy.ndarray]:
    """The least and the greatest float32 number of each interval of cases' boxes, `[N, D]`; twice the nearest where
    there is none. An end that the case excludes is not among them.
    """
    ends = zip(*(_without_strict_ends(case) for case in cases))
    lower, upper = (numpy.stack(end) for end in ends)
    infinity = numpy.float32(numpy.inf)
    low, high = lower.astype(numpy.float32), upper.astype(numpy.float32)
    least = numpy.where(low < lower, numpy.nextafter(low, infinity), low)
    greatest = numpy.where(high > upper, numpy.nextafter(high, -infinity), high)
    none = least > greatest
    return numpy.where(none, low, least), numpy.where(none, low, greatest)


def _without_strict_ends(case: Case) -> tuple[numpy.ndarray, numpy.ndarray]:
    """The ends `[D]` of a case's box, moved inwards by one number where a constraint of one input is strict."""
    lower, upper, relation = case.lower.copy(), case.upper.copy(), case.relation
    if relation is None:
        return lower, upper
    single = relation.strict & ((relation.matrix != 0).sum(1) == 1)
    for row, bound in zip(relation.matrix[single], relation.bound[single]):
        (place,) = row.nonzero()[0]
        end = bound / row[place]
        if row[place] > 0:
            upper[place] = min(upper[place], numpy.nextafter(end, -numpy.inf))
        else:
            lower[place] = max(lower[place], numpy.nextafter(end, numpy.inf))
    return lower, upper
