"""A record lets an independent checker prove the bounds; slopes can be read from a record and given to a call."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.record_checker import RecordChecker
from torch import Tensor, nn

import autodual
from autodual import Constraint, LinfBall, Slopes, Split
from autodual.errors import InvalidInputError
from autodual.network import DualNetwork
from autodual.passes import ChooseExecution, default_pipeline

BALL = LinfBall(0.3)
OBJECTIVE = torch.tensor([[1.0, -1.0], [0.0, 1.0], [-1.0, -1.0]]).double()


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(3, 7), nn.Linear(7, 7), nn.Linear(7, 2)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first(x).relu()
        return self.last((self.second(hidden) + hidden).relu())


def _dual(model: nn.Module) -> tuple[DualNetwork, Tensor]:
    x = torch.rand(3, 3, generator=torch.Generator().manual_seed(3)).double()
    return autodual.compile_dual(model.double().eval(), x), x


def _networks() -> list[nn.Module]:
    torch.manual_seed(4)
    relus = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 2))
    mixed = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 2))
    convolution = nn.Sequential(nn.Unflatten(1, (1, 3)), nn.Conv1d(1, 2, 2), nn.ReLU(), nn.Flatten(), nn.Linear(4, 2))
    return [relus, mixed, convolution, Branches()]


NETWORKS = [_dual(model) for model in _networks()]


@pytest.mark.parametrize("which", range(len(NETWORKS)))
@pytest.mark.parametrize("slopes", ["shared", "adaptive", "optimized"])
def test_a_record_proves_its_bounds_given_only_the_network_and_the_set(which: int, slopes: str) -> None:
    dual, x = NETWORKS[which]
    result = dual(x, BALL, OBJECTIVE, slopes=slopes, record=True)
    record = result.record
    assert record is not None
    torch.testing.assert_close(record.lower, result.lower.detach())
    for sample in range(3):
        checker = RecordChecker(dual, record, sample, x[sample] - 0.3, x[sample] + 0.3)
        checker.lines_enclose()
        checker.intervals_hold()
        if slopes == "optimized" and which == 1:
            continue  # the checker knows the slope families of ReLUs only
        for number in range(3):
            assert float(record.lower[sample, number]) <= checker.bound_of(number) + 1e-9


def test_a_record_of_subproblems_holds_given_intervals_and_multipliers() -> None:
    dual, x = NETWORKS[0]
    owner, count = torch.tensor([2, 0, 0, 1]), 4
    generator = torch.Generator().manual_seed(1)
    given = {n: i.map(lambda end: end.detach()[owner]) for n, i in dual.bounds(x, BALL, slopes="adaptive").items()}
    first, second = dual.plan.sites
    sign = torch.randint(-1, 2, (count, 8), generator=generator).double()
    splits = [
        Split(node=first, sign=sign, point=0 * sign, multiplier=torch.rand(count, 3, 8, generator=generator).double()),
        Constraint(
            rows={second: torch.randn(count, 2, 6, generator=generator).double()},
            bound=torch.randn(count, 2, generator=generator).double(),
            multiplier=torch.rand(count, 2, generator=generator).double(),
        ),
    ]
    result = dual(x, BALL, OBJECTIVE, slopes="adaptive", given=given, owner=owner, constraints=splits, record=True)
    record = result.record
    assert record is not None and set(record.given) == {first, second}
    for place, sample in enumerate(owner.tolist()):
        checker = RecordChecker(dual, record, place, x[sample] - 0.3, x[sample] + 0.3)
        checker.lines_enclose()
        for number in range(3):
            assert float(record.lower[place, number]) == pytest.approx(checker.bound_of(number), abs=1e-9)


def test_a_record_does_not_depend_on_memory() -> None:
    dual, x = NETWORKS[3]
    many = x.repeat(40, 1)
    whole = dual(many, BALL, OBJECTIVE, slopes="optimized", record=True).record
    little = ChooseExecution(memory_budget=1 << 20)
    passes = [little if step.name == little.name else step for step in default_pipeline()]
    small = autodual.compile_dual(dual.model, x, passes=passes)
    parts = small(many, BALL, OBJECTIVE, slopes="optimized", record=True).record
    assert whole is not None and parts is not None
    first, second = whole.arrays(), parts.arrays()
    assert first.keys() == second.keys()
    for name, array in first.items():
        np.testing.assert_allclose(*np.broadcast_arrays(array, second[name]), atol=1e-9)


def test_optimized_slopes_from_a_record_reproduce_the_bound() -> None:
    dual, x = NETWORKS[0]
    found = dual(x, BALL, OBJECTIVE, slopes="optimized", record=True)
    assert found.record is not None
    again = dual.lower_bounds(x, BALL, OBJECTIVE, slopes="adaptive", chosen_slopes=found.record.slopes)
    assert bool((again <= found.lower + 1e-12).all())
    plain = dual.lower_bounds(x, BALL, OBJECTIVE, slopes="adaptive")
    torch.testing.assert_close(again.maximum(plain), found.lower, atol=1e-12, rtol=0)
    further = dual.lower_bounds(x, BALL, OBJECTIVE, slopes="optimized", chosen_slopes=found.record.slopes)
    assert bool((further >= found.lower - 1e-12).all())


@pytest.mark.parametrize("rigorous", [False, True])
def test_any_slopes_are_sound_for_the_objective_and_for_units(rigorous: bool) -> None:
    dual, x = NETWORKS[3]
    generator = torch.Generator().manual_seed(7)
    output, second = dual.plan.graph.outputs[0], dual.plan.sites[1]
    relus = dual.plan.relaxed
    points = x + 0.3 * (2 * torch.rand(3000, 3, 3, generator=generator).double() - 1)
    reached = (dual.outputs(points.flatten(0, 1)).reshape(3000, 3, 2) @ OBJECTIVE.T).amin(0)
    for _ in range(20):
        chosen = Slopes(
            {
                output: {name: torch.rand(3, 3, 7, generator=generator).double() for name in relus},
                second: {relus[0]: torch.rand(3, 1, 7, generator=generator).double()},
            }
        )
        for policy in ("shared", "adaptive"):
            lower = dual.lower_bounds(x, BALL, OBJECTIVE, slopes=policy, chosen_slopes=chosen, rigorous=rigorous)
            assert bool((lower <= reached + 1e-9).all())


def test_gradients_reach_chosen_slopes() -> None:
    dual, x = NETWORKS[0]
    t = torch.full((3, 1, 8), 0.5).double().requires_grad_()
    chosen = Slopes({dual.plan.graph.outputs[0]: {dual.plan.relaxed[0]: t}})
    dual.lower_bounds(x, BALL, OBJECTIVE, slopes="shared", chosen_slopes=chosen).sum().backward()
    assert t.grad is not None and bool(t.grad.any())


@pytest.mark.parametrize(
    ("of", "words"),
    [
        ({"nowhere": {}}, "no node of this network"),
        ({"output": {"nowhere": torch.zeros(1, 1, 8)}}, "no relaxed node"),
        ({"output": {"relu": torch.zeros(1, 1, 7)}}, "expected"),
        ({"output": {"relu": torch.full((1, 1, 8), 1.1)}}, r"\[0, 1\]"),
        ({"output": {"relu": torch.full((1, 1, 8), torch.nan)}}, r"\[0, 1\]"),
        ({"output": {"relu": torch.zeros(1, 2, 8)}}, "2 rows; expected 3"),
    ],
)
def test_unsound_or_misshapen_slopes_are_refused(of: dict, words: str) -> None:
    dual, x = NETWORKS[0]
    named = {dual.plan.graph.outputs[0] if name == "output" else name: value for name, value in of.items()}
    named = {k: {dual.plan.relaxed[0] if n == "relu" else n: t for n, t in v.items()} for k, v in named.items()}
    with pytest.raises(InvalidInputError, match=words):
        dual.lower_bounds(x, BALL, OBJECTIVE, chosen_slopes=Slopes(named))
