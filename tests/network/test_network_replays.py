"""Calls that are replayed: the same numbers, and the usual way where values lead elsewhere."""

from __future__ import annotations

import copy
import dataclasses
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest import mock

import pytest
import torch
from support.structures import STRUCTURES
from torch import Tensor, nn

import autodual
from autodual.errors import EmptySetError
from autodual.extend import Interval, PerturbationSet, Support, end_rounding
from autodual.network import replays
from autodual.network.replays import Replays
from autodual.network.result import DualResult


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second call of a kind is recorded, rather than the seventh."""
    monkeypatch.setattr(replays, "USUAL", 1)


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 3))


def programs(dual: autodual.DualNetwork) -> list[Any]:
    """The kinds of calls of a network that are replayed by now."""
    kinds = [kind for one in dual._compiled.values() for kind in one.replays._kinds.values()]
    return [kind for kind in kinds if kind.program is not None and kind.tried and kind.useful]


def usual(call: Callable[[], Any]) -> Any:
    """What a call returns in the usual way: where somebody may watch its operations nothing is replayed."""
    with mock.patch.object(replays, "unwatched", lambda: False):
        return call()


OPTIONS: list[dict[str, Any]] = [
    {"slopes": "shared"},
    {"slopes": "adaptive"},
    {"slopes": "adaptive", "rigorous": True},
    {"inner": "interval", "last": "interval"},
    {"inner": "interval"},
]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@torch.no_grad()
def test_replayed_bounds_are_the_same_bits(model: nn.Module, options: dict[str, Any], dtype: torch.dtype) -> None:
    model.to(dtype)
    dual = autodual.compile_dual(model, torch.rand(1, 6, dtype=dtype))
    generator = torch.Generator().manual_seed(1)
    for _ in range(8):
        x = torch.rand(4, 6, dtype=dtype, generator=generator)
        ball = autodual.LinfBall(0.05, domain=(0.0, 1.0))
        rows = torch.randn(2, 3, dtype=dtype, generator=generator)
        found = dual.lower_bounds(x, ball, rows, **options)
        assert torch.equal(found, usual(partial(dual.lower_bounds, x, ball, rows, **options)))
    assert programs(dual)


@torch.no_grad()
def test_a_replay_reads_weights_and_sets_as_they_are(model: nn.Module) -> None:
    dual = autodual.compile_dual(model, torch.rand(1, 6))
    x, rows = torch.rand(2, 6), torch.eye(3)

    def bounds(radius: float) -> Tensor:
        return dual.lower_bounds(x, autodual.LinfBall(radius), rows, slopes="adaptive")

    before = [bounds(0.05) for _ in range(4)][-1]
    assert programs(dual)
    wider = bounds(0.06)
    assert torch.equal(wider, usual(lambda: bounds(0.06))) and (wider < before).all()
    for parameter in model.parameters():
        parameter.mul_(1.25)
    after = bounds(0.05)
    assert torch.equal(after, usual(lambda: bounds(0.05))) and not torch.equal(after, before)


@torch.no_grad()
def test_values_that_lead_elsewhere_go_the_usual_way(model: nn.Module) -> None:
    """With a tiny set no unit is undecided, so that no row of inner units is pulled."""
    dual, x, rows = autodual.compile_dual(model, torch.rand(1, 6)), torch.rand(3, 6), torch.eye(3)
    radius = torch.full((3,), 0.5)
    for _ in range(4):
        dual.lower_bounds(x, autodual.LinfBall(radius), rows)
    (kind,) = programs(dual)
    small = autodual.LinfBall(radius * 1e-7)
    found = dual.lower_bounds(x, small, rows)
    assert kind.failures == 1 and torch.equal(found, usual(lambda: dual.lower_bounds(x, small, rows)))


@torch.no_grad()
def test_errors_and_nan_are_those_of_the_usual_way(model: nn.Module) -> None:
    dual, x, rows = autodual.compile_dual(model, torch.rand(1, 6)), torch.rand(2, 6), torch.eye(3)
    for _ in range(4):
        dual.lower_bounds(x, autodual.Box(x - 0.1, x + 0.1), rows)
    assert programs(dual)
    with pytest.raises(EmptySetError):
        dual.lower_bounds(x, autodual.Box(x + 0.1, x - 0.1), rows)
    model[0].weight[0, 0] = torch.nan
    assert dual.lower_bounds(x, autodual.Box(x - 0.1, x + 0.1), rows).isnan().all()


@torch.no_grad()
def test_results_of_two_replays_share_no_memory(model: nn.Module) -> None:
    dual, x, rows = autodual.compile_dual(model, torch.rand(1, 6)), torch.rand(2, 6), torch.eye(3)
    kept = [dual(x, autodual.LinfBall(0.1), rows, sites=True) for _ in range(5)]
    copies = copy.deepcopy(kept[-2])
    assert programs(dual)
    kept[-1].lower.fill_(7.0)
    kept[-1].failure_probability.fill_(1.0)
    again = dual(x, autodual.LinfBall(0.1), rows, sites=True)
    assert torch.equal(again.lower, copies.lower) and torch.equal(kept[-2].lower, copies.lower)
    assert (again.failure_probability == 0).all()
    for name, interval in again.intervals.items():
        assert torch.equal(interval.lower, copies.intervals[name].lower)


@torch.no_grad()
def test_what_reads_numbers_or_draws_them_is_not_replayed() -> None:
    x, parts = torch.rand(3), Replays()

    def work(way: Callable[[Tensor], Any]) -> Any:
        way(x)
        return autodual.network.result.DualResult(None, {}, x + 1)

    for way in (
        lambda x: x.tolist(),
        lambda x: float(x[0]),
        lambda x: x.nonzero(),
        torch.rand_like,
        lambda x: x.numpy(),
    ):
        for _ in range(4):
            parts.result(lambda way=way: work(way), way, (x,))
    assert all(kind.program is None and not kind.useful for kind in parts._kinds.values())


@torch.no_grad()
def test_a_number_from_elsewhere_is_read_anew_at_each_call() -> None:
    x, parts, outside = torch.rand(3), Replays(), torch.tensor(1.0)

    def result() -> Tensor:
        return parts.result(lambda: DualResult(None, {}, x * outside), "times", (x,)).failure_probability

    for _ in range(5):
        result()
    outside.fill_(2.0)
    assert torch.equal(result(), 2 * x)


@torch.no_grad()
@pytest.mark.parametrize("make", [lambda x: torch.tensor([x[0], 1.0]), lambda x: torch.as_tensor([x[0]])])
def test_numbers_of_tensors_that_become_a_tensor_are_read_anew(make: Callable[[Tensor], Tensor]) -> None:
    parts = Replays()

    def result(x: Tensor) -> Tensor:
        return parts.result(lambda: DualResult(None, {}, make(x)), "made", (x,)).failure_probability

    for number in (0.0, 0.0, 0.0, 0.0, 2.0):
        assert float(result(torch.full((3,), number))[0]) == number


def _changed(x: Tensor) -> Tensor:
    numbers = torch.tensor([1.0, 2.0, 3.0])
    return numbers.add_(x) * 2


def _handed_out(_: Tensor) -> Tensor:
    return torch.tensor([1.0, 2.0, 3.0])[:2]


@torch.no_grad()
@pytest.mark.parametrize("make", [_changed, _handed_out])
def test_tensors_of_numbers_that_a_call_changes_or_returns_are_made_anew(make: Callable[[Tensor], Tensor]) -> None:
    x, parts = torch.rand(3), Replays()
    for _ in range(6):
        found = parts.result(lambda: DualResult(None, {}, make(x)), "numbers", (x,)).failure_probability
        assert torch.equal(found, make(x))
        found.add_(100)  # what a caller does with its result
    (kind,) = parts._kinds.values()
    assert kind.program is not None and kind.useful


@torch.no_grad()
def test_entries_by_their_places_are_replayed_and_those_of_a_mask_are_not() -> None:
    parts, factors = Replays(), [2.0, 3.0]

    def result(x: Tensor, places: Tensor) -> list[float]:
        work = lambda: DualResult(None, {}, x[places] * torch.tensor(factors))  # noqa: E731
        return parts.result(work, "places", (x, places)).failure_probability.tolist()

    for start in range(6):
        x, places = torch.arange(3.0) + start, torch.tensor([2, start % 3])
        mask = torch.arange(3) != start % 3
        for chosen in (places, mask):
            assert result(x, chosen) == [number * factor for number, factor in zip(x[chosen].tolist(), factors)]
    assert sorted(kind.program is not None for kind in parts._kinds.values()) == [False, True]


@torch.no_grad()
@pytest.mark.parametrize("name", ["gru", "rnn", "inception"])
def test_calls_of_small_networks_of_many_kinds_are_replayed(name: str) -> None:
    structure = STRUCTURES[name]
    torch.manual_seed(0)
    x = torch.rand(2, *structure.shape)
    dual, ball = autodual.compile_dual(structure.make(), x), autodual.LinfBall(structure.radius)
    for _ in range(4):
        found = dual.lower_bounds(x, ball, torch.eye(3), slopes="adaptive")
    assert programs(dual) and all(kind.useful for kind in dual.compiled(x).replays._kinds.values())
    assert torch.equal(found, usual(lambda: dual.lower_bounds(x, ball, torch.eye(3), slopes="adaptive")))


@torch.no_grad()
def test_a_dual_network_that_replays_can_be_copied(model: nn.Module) -> None:
    dual, x, rows = autodual.compile_dual(model, torch.rand(1, 6)), torch.rand(2, 6), torch.eye(3)
    for _ in range(4):
        found = dual.lower_bounds(x, autodual.LinfBall(0.1), rows)
    other = copy.deepcopy(dual)
    assert not programs(other) and torch.equal(other.lower_bounds(x, autodual.LinfBall(0.1), rows), found)


@dataclass(frozen=True, eq=False)
class Scaled(PerturbationSet):
    """A box whose radius is what something of a user's says, at the time of the call."""

    radius: Any

    def bind(self, x: Tensor) -> ScaledSupport:
        return ScaledSupport(self, x, self.radius)

    def describe(self) -> str:
        return "box"

    def settings(self) -> dict[str, Any]:
        return {}


@dataclass(frozen=True, eq=False)
class ScaledSupport(Support):
    radius: Any

    def enclosure(self) -> Interval:
        return Interval.around(self.centre, torch.full_like(self.centre, 0.1) * self.radius.factor)

    def extremes(self, nu: Tensor, view: Any) -> tuple[Tensor, Tensor]:
        box = self.enclosure()
        middle = (nu * view.features(self.centre)).flatten(2).sum(2)
        width = (nu.abs() * view.features(box.upper - self.centre)).flatten(2).sum(2)
        return middle - width, middle + width

    def rounding(self) -> Tensor:
        return end_rounding(self)


class Slotted:
    __slots__ = ("factor",)

    def __init__(self) -> None:
        self.factor: float | Tensor = 1.0


class Callable_(Slotted):
    def __call__(self) -> None: ...


class Shared:
    factor: float | Tensor = 1.0


@pytest.mark.parametrize("wider", [2.0, torch.tensor(2.0)], ids=["number", "tensor"])
@pytest.mark.parametrize("make", [Slotted, Callable_, lambda: Shared], ids=["slots", "callable", "class"])
@torch.no_grad()
def test_sets_of_users_may_read_anything(
    model: nn.Module, make: Callable[[], Any], wider: float | Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What changes between calls cannot be seen in a set of a user's own."""
    dual, x, radius = autodual.compile_dual(model, torch.rand(1, 6)), torch.rand(2, 6), make()
    monkeypatch.setattr(radius, "factor", torch.tensor(1.0) if isinstance(wider, Tensor) else 1.0)
    for _ in range(4):
        before = dual.lower_bounds(x, Scaled(radius), torch.eye(3))
    monkeypatch.setattr(radius, "factor", wider)
    assert (dual.lower_bounds(x, Scaled(radius), torch.eye(3)) < before).all()


@torch.no_grad()
def test_networks_with_rules_of_users_are_not_replayed(model: nn.Module) -> None:
    dual, x = autodual.compile_dual(model, torch.rand(1, 6)), torch.rand(2, 6)
    compiled = dual.compiled(x)
    name, rule = next(iter(compiled.plan.rules.items()))

    class Own(type(rule)):  # type: ignore[misc]
        """A rule of a user's, which may read anything."""

    own = dataclasses.replace(compiled.plan, rules={**compiled.plan.rules, name: Own()})
    dual._compiled[tuple(x.shape[1:])] = dataclasses.replace(compiled, plan=own)
    for _ in range(4):
        dual.lower_bounds(x, autodual.LinfBall(0.1), torch.eye(3))
    assert not compiled.plan.extended and own.extended and not programs(dual)


@torch.no_grad()
def test_calls_that_are_few_are_not_recorded(model: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    """Recording takes as long as several calls."""
    monkeypatch.setattr(replays, "USUAL", 3)
    x = torch.rand(2, 6)
    dual = autodual.compile_dual(model, x)
    recorded = []
    for _ in range(5):
        dual(x, autodual.LinfBall(0.1), torch.eye(3))
        kinds = [kind for one in dual._compiled.values() for kind in one.replays._kinds.values()]
        recorded.append([kind.program is not None for kind in kinds])
    assert recorded == [[False]] * 3 + [[True]] * 2


def test_recording_loads_no_compiler() -> None:
    """torch loads it for modes that hide from it: a second and a half, and 70 MiB."""
    code = """
import sys, torch, autodual
model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
x = torch.rand(2, 3)
dual = autodual.compile_dual(model, x)
with torch.no_grad():
    for _ in range(10):
        dual.lower_bounds(x, autodual.LinfBall(0.1), torch.eye(2))
kinds = [kind for one in dual._compiled.values() for kind in one.replays._kinds.values()]
print([kind.program is not None for kind in kinds], "torch._dynamo" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[True] False"
