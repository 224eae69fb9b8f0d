"""Certificates by effort: what stages prove agrees with exact minima, and every certificate names its stage."""

from __future__ import annotations

import time
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import autodual
from autodual.certification import deadline, effort, proof
from autodual.errors import InvalidInputError
from autodual.search import PartBounds
from tests.support.searches import network


@given(seed=st.integers(0, 10_000), width=st.sampled_from([0.3, 0.8]))
@settings(max_examples=2)
def test_complete_certificates_agree_with_exact_minima(seed: int, width: float) -> None:
    """Where the exact margin is clearly not zero, a complete effort certifies or falsifies as it says."""
    dual, x, ball = autodual.compile_dual(network(seed)), torch.rand(3, 2), autodual.LinfBall(width)
    labels = dual.outputs(x).argmax(1)
    found = autodual.certify(dual, x, ball, effort="complete", timeout=20)
    for sample, label in enumerate(labels.tolist()):
        rows = torch.eye(3)[label] - torch.eye(3)[[other for other in range(3) if other != label]]
        exact = float(autodual.exact_bounds(dual, x[sample : sample + 1], ball, rows).upper.min())
        if abs(exact) > 1e-2:
            assert str(found[sample].status) == ("certified" if exact > 0 else "falsified")
        assert found[sample].margin <= exact + 1e-6 or not found[sample].certified


def test_each_stage_sees_what_is_open_and_is_named() -> None:
    torch.manual_seed(1)
    dual, x = autodual.compile_dual(network(5, inputs=3, width=12)), torch.rand(40, 3)
    stages = {"fast": {"intervals"}, "normal": {"intervals", "adaptive"}}
    stages["high"] = {*stages["normal"], "optimized", "search"}
    before: set[int] = set()
    reached: set[str] = set()
    for chosen, names in stages.items():
        found = autodual.certify(dual, x, autodual.LinfBall(0.06), effort=chosen)
        assert {one.stage for one in found} <= names and {one.stage for one in found} > reached
        reached = {"intervals"}
        certified = {place for place, one in enumerate(found) if one.certified}
        assert before < certified, "more effort proves more of these"
        before = certified
        assert all((one.parts is not None) == (one.stage == "search") for one in found)


def test_l2_balls_are_searched_by_splits_of_units() -> None:
    torch.manual_seed(1)
    dual, x = autodual.compile_dual(network(7, inputs=70, width=10)), torch.rand(4, 70)
    ball = autodual.L2Ball(0.2)
    plain, found = autodual.certify(dual, x, ball), autodual.certify(dual, x, ball, effort="high", timeout=2)
    assert sum(one.certified for one in found) > sum(one.certified for one in plain)
    points = ball.at(x).sample(2000)
    classes = dual.outputs(points.flatten(0, 1)).reshape(2000, 4, 3).argmax(2)
    sure = torch.tensor([one.certified for one in found])
    assert bool((classes == dual.outputs(x).argmax(1))[:, sure].all())


def _hang(*_args: object, **_options: object) -> None:
    time.sleep(60)


def test_optimized_slopes_are_given_up_when_a_sample_had_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    dual, x, ball = autodual.compile_dual(network(5, inputs=3, width=12)), torch.rand(4, 3), autodual.LinfBall(0.3)
    asked: list[str | None] = []

    def prove(*args: Any, **options: Any) -> Any:
        asked.append(args[3].slopes)
        return _hang() if args[3].slopes == "optimized" else proof.prove(*args, **options)

    monkeypatch.setattr(effort, "prove", prove)
    monkeypatch.setattr(deadline, "_GRACE", 0.0)
    start, plain = time.monotonic(), autodual.certify(dual, x, ball)
    assert any(str(one.status) == "unknown" for one in plain)
    for options in ({"timeout": 0.05}, {"timeout": 20.0, "total_timeout": 1.0}):
        found = autodual.certify(dual, x, ball, effort="high", **options)
        assert [one.certified for one in plain] <= [one.certified for one in found]
        assert "optimized" not in {one.stage for one in found}
    assert asked.count("optimized") == 2 and time.monotonic() - start < 20
    autodual.certify(dual, x, ball, effort="high", total_timeout=1e-9)
    assert asked.count("optimized") == 2, "not begun when the time is over"


@pytest.mark.parametrize("calls", [0, 3])
def test_a_search_that_hangs_is_interrupted_and_proves_nothing_more(
    calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    dual, x, ball = autodual.compile_dual(network(5, inputs=3, width=12)), torch.rand(3, 3), autodual.LinfBall(0.3)
    bound, left = PartBounds.bound, [calls]

    def limited(*args: Any, **options: Any) -> Any:
        left[0] -= 1
        return bound(*args, **options) if left[0] >= 0 else _hang()

    monkeypatch.setattr(PartBounds, "bound", limited)
    monkeypatch.setattr(deadline, "_GRACE", 0.0)
    start, plain = time.monotonic(), autodual.certify(dual, x, ball, slopes="optimized")
    with torch.enable_grad():
        found = autodual.certify(dual, x, ball, effort="complete", timeout=0.3)
        assert torch.is_grad_enabled()
    assert time.monotonic() - start < 20
    assert not any(one.certified for one, other in zip(found, plain) if not other.certified)


def test_options_that_contradict_an_effort_are_refused() -> None:
    dual, x, ball = autodual.compile_dual(torch.nn.Identity()), torch.rand(1, 2), autodual.LinfBall(0.1)
    for options, words in (
        ({"effort": "great"}, "must be one of"),
        ({"effort": "high", "slopes": "shared"}, "decides about slopes"),
        ({"timeout": 1.0}, "give effort="),
        ({"effort": "fast", "timeout": 1.0}, "searches nothing"),
        ({"effort": "high", "timeout": 0.0}, "timeout must be positive"),
    ):
        with pytest.raises(InvalidInputError, match=words):
            autodual.certify(dual, x, ball, **options)
