"""Schedules: their ends, their shapes, and their continuity."""

from __future__ import annotations

from itertools import pairwise

import numpy
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from autodual.errors import InvalidInputError
from autodual.train.recipe import Recipe, assemble, disassemble
from autodual.train.schedules import Constant, Cosine, Cyclic, Linear, MultipleDecay, PiecewiseLinear, Smooth, Steps


@pytest.mark.parametrize("kind", [Linear, Smooth, Cosine])
def test_ramps_go_from_start_to_end_without_a_jump(kind) -> None:
    ramp = kind(0.2, 1.0, 2.0, 6.0)
    assert ramp(0) == ramp(2) == 0.2 and ramp(6) == ramp(100) == 1.0
    values = [ramp(2 + step / 1000) for step in range(4001)]
    assert values == sorted(values)
    assert max(after - before for before, after in pairwise(values)) < 1e-3


@pytest.mark.parametrize("kind", [Linear, Smooth, Cosine])
def test_a_ramp_by_epoch_keeps_the_value_of_the_epochs_beginning(kind) -> None:
    ramp, steps = kind(0.2, 1.0, 1.0, 5.0), kind(0.2, 1.0, 1.0, 5.0, by_epoch=True)
    for epoch in range(8):
        assert {steps(epoch + part / 7) for part in range(7)} == {ramp(epoch)}


def test_the_radius_of_table_3_1_takes_uniform_steps_in_the_first_fifty_epochs() -> None:
    radii = [Linear(0.05, 0.1, finish=49, by_epoch=True)(epoch + 0.3) for epoch in range(60)]
    assert radii[:50] == pytest.approx(numpy.linspace(0.05, 0.1, 50)) and set(radii[49:]) == {0.1}


def test_the_smooth_ramp_starts_slowly_and_is_linear_after_the_first_quarter() -> None:
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


#: Every learning rate of chapters 4 and 5 of the thesis: as in a recipe, its number of epochs, and values by hand.
THESIS: dict[str, tuple[dict[str, object], int, dict[float, float]]] = {
    "cyclic, 4.1": ({"kind": "cyclic", "peak": 0.2}, 30, {0: 0.0, 7.5: 0.1, 15: 0.2, 18: 0.16, 30: 0.0}),
    "cyclic, free": ({"kind": "cyclic", "peak": 0.04}, 96, {12: 0.01, 48: 0.04, 84: 0.01}),
    "cyclic, 4.3": ({"kind": "cyclic", "peak": 0.2, "top": 0.4}, 200, {40: 0.1, 80: 0.2, 140: 0.1, 200: 0.0}),
    "piecewise": (
        {"kind": "steps", "start": 0.1, "at": [100, 150]},
        200,
        {0: 0.1, 99.9: 0.1, 100: 0.01, 149.9: 0.01, 150: 0.001, 200: 0.001},
    ),
    "multiple": (
        {"kind": "multiple", "start": 0.1, "drop": 0.01, "every": 50},
        500,
        {0: 0.1, 49.9: 0.1, 50: 0.09, 275: 0.05, 499.9: 0.01},
    ),
    "linear, text": (
        {"kind": "piecewise-linear", "knots": [[100, 0.1], [150, 0.01]]},
        200,
        {0: 0.1, 100: 0.1, 125: 0.055, 150: 0.01, 200: 0.01},
    ),
    "linear, code": (
        {"kind": "piecewise-linear", "unit": "run", "knots": [[0, 0.1], [1 / 3, 0.1], [2 / 3, 0.01], [1, 0.001]]},
        60,
        {10: 0.1, 20: 0.1, 30: 0.055, 40: 0.01, 50: 0.0055, 60: 0.001},
    ),
    "cosine": (
        {"kind": "cosine", "start": 0.1, "end": 0.0, "finish": 200},
        200,
        {0: 0.1, 100: 0.05, 200 / 3: 0.075, 200: 0.0},
    ),
    "ImageNet": (
        {
            "kind": "piecewise-linear",
            "knots": [[0, 0], [3, 0.4], [6, 0], [6, 0], [9, 0.04], [12, 0], [12, 0], [13.5, 0.004], [15, 0]],
        },
        15,
        {1.5: 0.2, 3: 0.4, 6: 0.0, 9: 0.04, 10.5: 0.02, 13.5: 0.004, 15: 0.0},
    ),
    "5.4, MNIST": (
        {"kind": "piecewise-linear", "knots": [[0, 0], [7, 0.1], [15, 0.001], [20, 0.0001]]},
        20,
        {3.5: 0.05, 7: 0.1, 11: 0.0505, 15: 0.001, 17.5: 0.00055, 20: 0.0001},
    ),
    "5.4, CIFAR": (
        {"kind": "piecewise-linear", "knots": [[0, 0], [20, 0.1], [40, 0.005], [50, 0]]},
        50,
        {10: 0.05, 20: 0.1, 30: 0.0525, 40: 0.005, 45: 0.0025, 50: 0.0},
    ),
}


@pytest.mark.parametrize("name", THESIS)
def test_recipes_can_express_every_learning_rate_of_the_thesis(name: str) -> None:
    values, epochs, expected = THESIS[name]
    recipe = assemble(Recipe, {"learning_rate": values, "epochs": epochs})
    assert {time: recipe.learning_rate(time) for time in expected} == pytest.approx(expected, abs=1e-12)
    assert assemble(Recipe, disassemble(recipe)) == recipe


@example([(0.0, 3.0), (17.0, 3.0)], 1.0)
@given(
    st.lists(st.tuples(st.integers(0, 20).map(float), st.integers(-9, 9).map(float)), min_size=1, max_size=6),
    st.floats(0, 30),
)
def test_lines_between_knots_agree_with_numpy(knots: list[tuple[float, float]], time: float) -> None:
    knots = sorted(dict(knots).items())  # without jumps
    schedule = PiecewiseLinear(tuple(knots))
    assert schedule(time) == pytest.approx(numpy.interp(time, *zip(*knots)), abs=1e-9)
    assert min(schedule.extremes) <= schedule(time) <= max(schedule.extremes)


def test_two_knots_at_one_time_are_a_jump() -> None:
    schedule = PiecewiseLinear(((2.0, 1.0), (4.0, 3.0), (4.0, 0.5)))
    assert [schedule(time) for time in (0, 3, 3.999999, 4, 9)] == pytest.approx([1, 2, 3, 0.5, 0.5], abs=1e-5)


def test_fractions_of_the_run_become_epochs_and_ranges_are_checked() -> None:
    values = {"kind": "piecewise-linear", "unit": "run", "knots": [[0, 0], [0.25, 1], [1, 1]]}
    recipe = assemble(Recipe, {"radius": values, "epochs": 8, "scheduled": {"kappa": {"kind": "cyclic", "peak": 1}}})
    assert recipe.radius == PiecewiseLinear(((0.0, 0.0), (2.0, 1.0), (8.0, 1.0)))
    assert recipe.loss_at(4.0).kappa == 1 and recipe.loss_at(6.0).kappa == 0.5
    with pytest.raises(InvalidInputError, match="'learning_rate' must be at least 0"):
        assemble(Recipe, {"learning_rate": {"kind": "cyclic", "peak": -0.1}})


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: PiecewiseLinear(()), "needs knots"),
        (lambda: PiecewiseLinear(((0.0, 1.0, 2.0),)), "a pair of a time and a value"),
        (lambda: PiecewiseLinear(((2.0, 1.0), (1.0, 1.0))), "must not fall"),
        (lambda: PiecewiseLinear(((-1.0, 1.0),)), "at least 0"),
        (lambda: PiecewiseLinear(((3.0, 1.0),), unit="run"), "share of the run"),
        (lambda: Cyclic(0.1, top=1.0), "'top' must be above 0 and below 1"),
        (lambda: MultipleDecay(0.1, 0.01, 50.0, end=0.2), "must not end above its start"),
    ],
)
def test_invalid_schedules_are_refused(make, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        make()
