"""Calls that are replayed: the same numbers, and the usual way where values lead elsewhere."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor, nn

import autodual
from autodual.errors import EmptySetError
from autodual.network import replays
from autodual.network.replays import Replays


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
    with mock.patch.object(replays, "_alone", lambda: False):
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
def test_a_dual_network_that_replays_can_be_copied(model: nn.Module) -> None:
    dual, x, rows = autodual.compile_dual(model, torch.rand(1, 6)), torch.rand(2, 6), torch.eye(3)
    for _ in range(4):
        found = dual.lower_bounds(x, autodual.LinfBall(0.1), rows)
    other = copy.deepcopy(dual)
    assert not programs(other) and torch.equal(other.lower_bounds(x, autodual.LinfBall(0.1), rows), found)
