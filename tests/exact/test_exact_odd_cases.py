"""Exact decisions where bounds are estimates, a union's members differ, or HiGHS refuses the program."""

from __future__ import annotations

import math

import numpy
import pytest
import torch
from torch import nn

import autodual
from autodual.errors import InvalidInputError
from autodual.exact import least_value
from autodual.exact.branch_and_bound import Found, Goal, Tried, branch_and_bound
from autodual.exact.least_value import LargestOf, least_over
from autodual.exact.linear_program import ProgramBuilder
from autodual.exact.time_allowed import Clock
from autodual.passes import HighProbability, default_pipeline

BALL = autodual.LinfBall(0.25)


@pytest.fixture(scope="module")
def model() -> nn.Module:
    torch.manual_seed(4)
    layers = nn.Sequential(nn.Linear(3, 10), nn.ReLU(), nn.Linear(10, 8), nn.ReLU(), nn.Linear(8, 3))
    for parameter in layers.parameters():
        nn.init.normal_(parameter, std=0.6)
    return layers


def test_estimates_are_never_passed_off_as_proofs(model: nn.Module) -> None:
    """What programs proved has margins of its own; what they did not keeps the estimates' failure probability."""
    # One sample that is robust, though estimates do not show it, and one that is not.
    x = torch.tensor([[0.9066, 0.6721, 0.8989], [0.132, 0.0998, 0.9521]])
    passes = [*default_pipeline(), HighProbability(0.05, 400, prefer_exact=False)]
    dual = autodual.compile_dual(model, x, passes=passes)
    plain = autodual.certify(dual, x, BALL)
    exact = autodual.certify(dual, x, BALL, exact_seconds=30.0)
    assert {str(one.status) for one in exact} >= {"certified", "falsified"}
    outputs = model(BALL.at(x).sample(500)).detach()
    for place, (before, after) in enumerate(zip(plain, exact)):
        assert before.failure_probability == 0.05
        if str(after.status) == "certified":
            values = outputs[:, place, after.predicted, None] - outputs[:, place]
            assert after.failure_probability == 0 and "branch and bound" in after.method
            assert math.isfinite(sum(after.margins)), "the label's own margin is 0, not unknown"
            assert (torch.tensor(after.margins) <= values.amin(0) + 1e-6).all()
        else:
            assert after.failure_probability == 0.05 and after.margins == before.margins
            assert after.margin == before.margin and "random projections" in after.method


def test_a_refuted_union_gives_the_point_that_was_confirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not one of a lower value in another member, where a run of the network did not confirm it."""
    unconfirmed = Found(-3.0, -2.0, torch.tensor([[1.0]]), 1, finished=True)
    confirmed = Found(-3.0, -1.0, torch.tensor([[2.0]]), 1, finished=True, ended=True)
    answers = iter([unconfirmed, confirmed])
    monkeypatch.setattr(least_value, "_least_value", lambda *arguments: next(answers))
    nothing = LargestOf(numpy.ones((1, 1)), numpy.zeros(1), numpy.zeros(1))
    found = least_over(None, [None, None], nothing, Goal(above=0.0), Clock())  # type: ignore[arg-type, list-item]
    assert found.ended and found.upper == -1.0 and found.point is confirmed.point


@pytest.mark.parametrize("coefficient", [math.nan, 1e300])
def test_a_program_that_highs_refuses_is_left_at_once(coefficient: float) -> None:
    """Splitting all of its binaries, 2^40 parts, would never end."""
    builder = ProgramBuilder()
    binaries = builder.add_binaries(40)
    builder.add_rows([(None, binaries, coefficient)], 0.0, 1.0, 40, numpy.zeros(40))
    program, point = builder.program(), torch.zeros(1, 1)
    found = branch_and_bound(program, numpy.ones(40), lambda solution: Tried(0.0, point), Goal(), Clock(20.0))
    assert found.lower == -math.inf and found.parts == 0 and found.point is None


def test_gaps_and_limits_that_make_no_sense_are_refused(model: nn.Module) -> None:
    x = torch.rand(1, 3)
    dual = autodual.compile_dual(model, x)
    for gap in (-1.0, math.nan, math.inf):
        with pytest.raises(InvalidInputError, match="gap must be a finite number"):
            autodual.exact_bounds(dual, x, BALL, torch.eye(3), gap=gap)
    for seconds in (0.0, math.nan):
        with pytest.raises(InvalidInputError, match="time_limit must be positive"):
            autodual.exact_bounds(dual, x, BALL, torch.eye(3), time_limit=seconds)
