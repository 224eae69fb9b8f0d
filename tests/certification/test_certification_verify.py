"""Verdicts on properties compared with brute force: none is wrong, and counterexamples are genuine."""

from __future__ import annotations

import itertools
import time
from dataclasses import replace
from importlib import import_module

import numpy
import pytest
import torch
from torch import Tensor, nn

import autodual
from autodual.certification import VerdictStatus, verify
from autodual.errors import InvalidInputError
from autodual.properties import Property

DECLARED = "(declare-const X_0 Real)(declare-const X_1 Real)" + "".join(f"(declare-const Y_{k} Real)" for k in range(3))


def box(a: float, b: float, c: float, d: float) -> str:
    return f"(assert (>= X_0 {a}))(assert (<= X_0 {b}))(assert (>= X_1 {c}))(assert (<= X_1 {d}))"


@pytest.fixture
def traced(dual: autodual.DualNetwork, x: Tensor) -> autodual.DualNetwork:
    dual.compiled(x)
    return dual


def _grid(goal: Property, count: int = 41) -> Tensor:
    """Points of all boxes, corners included, as float32 `[G, 2]`."""
    points = []
    for case in goal.cases:
        axes = [numpy.linspace(low, high, count) for low, high in zip(case.lower, case.upper)]
        points += list(itertools.product(*axes))
    return torch.tensor(points, dtype=torch.float64).float()


def _violated(dual: autodual.DualNetwork, goal: Property) -> bool:
    points = _grid(goal)
    outputs = dual.outputs(points).detach().double().numpy()
    return any(goal.violation(x, y) is not None for x, y in zip(points.double().numpy(), outputs))


def _check(dual: autodual.DualNetwork, goal: Property, **options) -> VerdictStatus:
    """The verdict; unsat is checked by brute force, the counterexample of sat by running the network again."""
    verdict = verify(dual, goal, **{"timeout": 20, **options})
    if verdict.status is VerdictStatus.SAT:
        assert verdict.inputs is not None and verdict.outputs is not None and verdict.case is not None
        again = dual.outputs(torch.from_numpy(verdict.inputs).float().unsqueeze(0))[0].detach().double().numpy()
        assert numpy.array_equal(again, verdict.outputs)
        case = goal.cases[verdict.case]
        assert case.contains(verdict.inputs) and any(part.holds(again) for part in case.conjunctions)
    else:
        assert verdict.inputs is None and verdict.outputs is None
        if verdict.status is VerdictStatus.UNSAT:
            assert not _violated(dual, goal)
            assert verdict.undecided == 0
    return verdict.status


CONDITIONS = [
    "(<= Y_0 {t})",
    "(and (<= Y_0 Y_1) (<= Y_0 (+ Y_2 {t})))",
    "(or (and (>= Y_1 (+ Y_0 {t})) (>= Y_1 Y_2)) (>= (+ Y_0 Y_1) (* -3 {t})))",
    "(or (and (<= X_0 0.1) (<= Y_2 {t})) (and (>= X_0 0.1) (<= Y_1 {t}) (>= Y_1 (- {t} 1))))",
]


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("attack", [True, False])
def test_verdicts_agree_with_brute_force(condition: str, attack: bool, traced, property_of) -> None:
    """Thresholds from seldom to always violated: what brute force violates is sat, and nothing stays undecided."""
    options = {} if attack else {"attack": None}
    seen = set()
    for threshold in (-9, -3, -1, -0.3, 0, 0.3, 1, 3):
        goal = property_of(DECLARED + box(-1, 0.5, -0.75, 1) + f"(assert {condition.format(t=threshold)})")
        status = _check(traced, goal, **options)
        assert status in (VerdictStatus.SAT, VerdictStatus.UNSAT)
        if _violated(traced, goal):
            assert status is VerdictStatus.SAT
        seen.add(status)
    assert VerdictStatus.SAT in seen


def test_several_boxes(traced, property_of) -> None:
    """The second of three boxes holds the only violation; without it there is none."""
    points = torch.randn(2000, 2, generator=torch.Generator().manual_seed(0)).double()
    best = points[traced.outputs(points)[:, 0].argmax()]
    threshold = traced.outputs(best.unsqueeze(0))[0, 0].item() - 1e-3
    centres = [(-20.0, -20.0), tuple(best.tolist()), (0.0, 0.0)]
    regions = [
        f"(and (>= X_0 {a - 0.01}) (<= X_0 {a + 0.01}) (>= X_1 {b - 0.01}) (<= X_1 {b + 0.01}))" for a, b in centres
    ]
    tail = f"(assert (>= Y_0 {threshold}))"
    with_it = property_of(DECLARED + f"(assert (or {' '.join(regions[1:])}))" + tail)
    assert _check(traced, with_it) is VerdictStatus.SAT
    without = property_of(DECLARED + f"(assert (or {regions[2]} {regions[2].replace('0.01', '0.02')}))" + tail)
    assert _check(traced, without) is VerdictStatus.UNSAT
    assert len(without.cases) == 2


class _Identity(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x.relu(), (x - 1).relu().sum(1, keepdim=True)], 1)


@pytest.fixture
def identity() -> autodual.DualNetwork:
    """Y_0 = X_0⁺, Y_1 = X_1⁺, Y_2 = (X_0 - 1)⁺ + (X_1 - 1)⁺."""
    return autodual.compile_dual(_Identity(), torch.zeros(1, 2))


@pytest.mark.parametrize("attack", [True, False])
def test_a_violation_on_the_boundary_alone(attack: bool, identity, property_of) -> None:
    options = {} if attack else {"attack": None}
    edge = box(-1, 0.75, 0.25, 1)
    closed = property_of(DECLARED + edge + "(assert (>= Y_0 0.75)) (assert (>= Y_1 1))")
    assert _check(identity, closed, **options) is VerdictStatus.SAT
    strict = property_of(DECLARED + edge + "(assert (> Y_0 0.75))")
    assert _check(identity, strict, timeout=1, **options) is not VerdictStatus.SAT
    beyond = property_of(DECLARED + edge + "(assert (>= Y_0 0.7501))")
    assert _check(identity, beyond, **options) is VerdictStatus.UNSAT


def test_ties_are_not_unsat(identity, property_of) -> None:
    """Y_0 + Y_1 reaches 1.75 at one corner only, where the strict inequality fails by a tie."""
    tie = property_of(DECLARED + box(0, 0.75, 0, 1) + "(assert (> (+ Y_0 Y_1) 1.75))")
    assert verify(identity, tie, timeout=1).status in (VerdictStatus.UNKNOWN, VerdictStatus.TIMEOUT)


def test_offsets_that_may_be_off_are_not_taken_for_exact(identity, property_of) -> None:
    """The search sees that Y_0 >= 0, so a bound of -0.5 that may be 0.5 is not refuted."""
    goal = property_of(DECLARED + box(-1, 1, 0, 0) + "(assert (<= Y_0 -0.5))")
    (case,) = goal.cases
    doubtful = replace(case.conjunctions[0], bound_error=numpy.ones(1))
    verdict = verify(identity, replace(goal, cases=(replace(case, conjunctions=(doubtful,)),)), attack=None, timeout=1)
    assert verdict.status in (VerdictStatus.UNKNOWN, VerdictStatus.TIMEOUT)


def test_conjunctions_that_only_a_combination_of_rows_refutes(identity, property_of) -> None:
    """Either row alone can hold somewhere, but not both; without splitting this is proved by their sum."""
    goal = property_of(DECLARED + box(0.25, 0.75, 0, 0) + "(assert (<= Y_0 0.4)) (assert (>= Y_0 0.41))")
    verdict = verify(identity, goal, timeout=20)
    assert verdict.status is VerdictStatus.UNSAT
    assert verdict.parts == 0


def test_constraints_between_inputs_bind_counterexamples(identity, property_of) -> None:
    """The box holds violations, but the triangle that the file constrains inputs to does not: sat would be wrong."""
    goal = property_of(DECLARED + box(0, 1, 0, 1) + "(assert (<= (+ X_0 X_1) 0.5)) (assert (>= (+ Y_0 Y_1) 1.5))")
    assert verify(identity, goal, timeout=1).status is not VerdictStatus.SAT
    hit = property_of(DECLARED + box(0, 1, 0, 1) + "(assert (<= (+ X_0 X_1) 1.5)) (assert (>= (+ Y_0 Y_1) 0.5))")
    assert _check(identity, hit) is VerdictStatus.SAT


def test_intervals_without_a_float32_number(identity, property_of) -> None:
    """0.3 is no float32 number: the counterexample is 0.3 itself, which rounds to the float32 that was run."""
    goal = property_of(DECLARED + box(0.3, 0.3, 0.1, 0.1) + "(assert (>= Y_0 0.25))")
    verdict = verify(identity, goal)
    assert verdict.status is VerdictStatus.SAT
    assert verdict.inputs.tolist() == [0.3, 0.1]


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_networks_that_overflow_give_no_counterexample(wrong: float, property_of) -> None:
    class Broken(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([x.relu() * 3e38 * 3e38, x[:, :1]], 1)

    dual = autodual.compile_dual(Broken(), torch.zeros(1, 2))
    goal = property_of(DECLARED + box(0.5, 1, 0.5, 1) + "(assert (<= Y_0 0))")
    replay = lambda inputs: numpy.full(3, wrong)  # noqa: E731 - a network with this output everywhere
    assert verify(dual, goal, timeout=2, replay=replay).status is not VerdictStatus.SAT


def test_a_replay_overrules_the_attack(identity, property_of) -> None:
    goal = property_of(DECLARED + box(0, 1, 0, 1) + "(assert (>= Y_0 0.5))")
    verdict = verify(identity, goal, timeout=1, replay=lambda inputs: numpy.zeros(3))
    assert verdict.status is not VerdictStatus.SAT


def test_the_time_limit_is_kept(property_of) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 3)).eval()
    names = "".join(f"(declare-const X_{i} Real)(assert (>= X_{i} -3))(assert (<= X_{i} 3))" for i in range(6))
    points = 6 * torch.rand(200_000, 6, generator=torch.Generator().manual_seed(0)) - 3
    highest = float(model(points).detach()[:, 0].max())
    goal = property_of(names + DECLARED[48:] + f"(assert (>= Y_0 {1.2 * highest + 0.1}))")
    dual = autodual.compile_dual(model, torch.zeros(1, 6))
    start = time.monotonic()
    verdict = verify(dual, goal, timeout=1.5)
    assert time.monotonic() - start < 4
    assert verdict.status in (VerdictStatus.TIMEOUT, VerdictStatus.UNSAT)
    if verdict.status is VerdictStatus.TIMEOUT:
        assert verdict.undecided == 1 and verdict.parts > 0


def test_a_step_that_does_not_end_is_interrupted(identity, property_of, monkeypatch) -> None:
    """Gradients stay enabled for the caller, and the unproved property is not unsat."""

    def endless(*arguments, **options):
        with torch.no_grad():
            while True:
                torch.zeros(10)

    # The packages' attributes of these names are functions.
    monkeypatch.setattr(import_module("autodual.certification.verdicts.property_steps"), "prove", endless)
    monkeypatch.setattr(import_module("autodual.certification.deadline"), "_GRACE", 0.1)
    goal = property_of(DECLARED + box(0, 1, 0, 1) + "(assert (>= Y_0 2))")
    start = time.monotonic()
    verdict = verify(identity, goal, timeout=0.3)
    assert time.monotonic() - start < 2
    assert verdict.status is VerdictStatus.TIMEOUT and verdict.undecided == 1
    assert torch.is_grad_enabled()


def test_properties_of_other_sizes_and_untraced_networks_are_refused(traced, identity, property_of) -> None:
    with pytest.raises(InvalidInputError, match="1 input"):
        verify(
            traced, property_of("(declare-const X_0 Real)" + DECLARED[48:] + "(assert (= X_0 0)) (assert (<= Y_0 0))")
        )
    with pytest.raises(InvalidInputError, match="1 output"):
        verify(traced, property_of(DECLARED[:72] + box(0, 1, 0, 1) + "(assert (<= Y_0 0))"))
    with pytest.raises(InvalidInputError, match="traced"):
        verify(autodual.compile_dual(_Identity()), property_of(DECLARED + box(0, 1, 0, 1) + "(assert (<= Y_0 0))"))
