"""Programs of boxes cut by half-spaces: their multipliers prove the least value, which is also SciPy's."""

from __future__ import annotations

import math

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autodual.exact import Cut, multipliers_of

optimize = pytest.importorskip("scipy.optimize")


def _proved(cut: Cut, beta: numpy.ndarray) -> float:
    """What multipliers prove of the only function in the box."""
    slope = cut.slope[0] - beta @ cut.rows
    ends = numpy.minimum(slope * cut.lower, slope * cut.upper).sum()
    return float(ends + cut.offset[0] + beta @ cut.least)


@given(seed=st.integers(0, 10_000), rows=st.integers(1, 5))
@settings(max_examples=30)
def test_multipliers_prove_the_least_value(seed: int, rows: int) -> None:
    random = numpy.random.default_rng(seed)
    cut = Cut(
        random.normal(size=(1, 4)),
        random.normal(size=1),
        random.normal(size=(rows, 4)),
        random.normal(size=rows),
        -random.random(4),
        random.random(4),
    )
    least = optimize.linprog(
        cut.slope[0], -cut.rows, -cut.least, bounds=list(zip(cut.lower, cut.upper)), method="highs"
    )
    found = multipliers_of(cut, math.inf)
    if found is None:  # an empty part by a hair's breadth, of which nothing is claimed
        assert least.status == 2
        return
    beta, point = found.halfspaces, found.point
    assert (beta >= 0).all()
    if least.status == 2:
        assert point is None and _proved(cut, beta) > 0
    else:
        assert point is not None
        assert _proved(cut, beta) == pytest.approx(least.fun + cut.offset[0], abs=1e-7)
        assert (cut.rows @ point >= cut.least - 1e-6).all()


@given(seed=st.integers(0, 10_000))
@settings(max_examples=20)
def test_shares_and_multipliers_prove_the_least_of_the_greatest(seed: int) -> None:
    """Of three functions: SciPy minimises t where none of them exceeds t."""
    random = numpy.random.default_rng(seed)
    slope, offset, rows = random.normal(size=(3, 4)), random.normal(size=3), random.normal(size=(2, 4))
    lower, upper = -random.random(4), random.random(4)
    cut = Cut(slope, offset, rows, rows @ (lower + upper) / 2, lower, upper)
    found = multipliers_of(cut, math.inf)
    above = numpy.vstack([numpy.hstack([slope, -numpy.ones((3, 1))]), numpy.hstack([-rows, numpy.zeros((2, 1))])])
    bounds = [*zip(lower, upper), (None, None)]
    least = optimize.linprog([0] * 4 + [1], above, [*-offset, *-cut.least], bounds=bounds, method="highs")
    assert found is not None and found.functions.sum() == pytest.approx(1) and (found.functions >= 0).all()
    mixed = Cut(found.functions @ slope[None], found.functions @ offset[:, None], rows, cut.least, lower, upper)
    assert _proved(mixed, found.halfspaces) == pytest.approx(least.fun, abs=1e-7)
