"""Schedules: their ends, their shapes, and that nothing jumps."""

from __future__ import annotations

from itertools import pairwise

import pytest

from autodual.errors import InvalidInputError
from autodual.train.schedules import Constant, Cosine, Linear, Smooth, Steps


@pytest.mark.parametrize("kind", [Linear, Smooth, Cosine])
def test_ramps_go_from_start_to_end_without_a_jump(kind) -> None:
    ramp = kind(0.2, 1.0, 2.0, 6.0)
    assert ramp(0) == ramp(2) == 0.2 and ramp(6) == ramp(100) == 1.0
    values = [ramp(2 + step / 1000) for step in range(4001)]
    assert values == sorted(values)
    assert max(after - before for before, after in pairwise(values)) < 1e-3


def test_the_smooth_ramp_is_slow_first_and_straight_from_a_quarter_on() -> None:
    ramp = Smooth(0.0, 1.0, 0.0, 1.0)
    assert ramp(0.125) < 0.01
    slopes = [(ramp(time + 1e-4) - ramp(time)) / 1e-4 for time in (0.2501, 0.5, 0.9)]
    assert max(slopes) == pytest.approx(min(slopes), rel=1e-6)
    assert (ramp(0.25) - ramp(0.25 - 1e-5)) / 1e-5 == pytest.approx(slopes[0], rel=1e-3)


def test_the_linear_ramp_is_linear_and_the_cosine_symmetric() -> None:
    assert Linear(0.01, 0.1, 0.0, 10.0)(5) == pytest.approx(0.055)
    cosine = Cosine(1.0, 0.0, 0.0, 1.0)
    assert cosine(0.5) == pytest.approx(0.5) and cosine(0.25) + cosine(0.75) == pytest.approx(1.0)


def test_steps_fall_at_their_epochs_and_warm_up() -> None:
    steps = Steps(1.0, (3.0, 5.0), 0.1, 1.0)
    assert [steps(time) for time in (1, 2.99, 3, 4.99)] == pytest.approx([1, 1, 0.1, 0.1])
    assert steps(5) == pytest.approx(0.01) and 0 < steps(0) < 0.01 and steps(0.5) == pytest.approx(0.501)
    assert Constant(0.3)(17.0) == 0.3


def test_a_ramp_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="finish no earlier"):
        Linear(0.0, 1.0, 3.0, 2.0)
