"""What a search proves is true: against exact minima, sampled points of random parts, and activations of many kinds."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import autodual
from autodual.certification.leaf_programs import program_solver
from autodual.exact.time_allowed import Clock
from autodual.interval import Interval
from autodual.search.actions import Action
from autodual.search.input_halves import InputHalves
from autodual.search.part_batch import Parts
from autodual.search.part_bounds import PartBounds
from autodual.search.unit_splits import UnitSplits
from tests.support.searches import bounds_of, box_around, conjunctions, network, searched, single_rows

ROWS = torch.tensor([[1.0, -1.0, 0.0], [0.5, 0.5, -1.0], [-1.0, 0.25, 0.25]])


@pytest.mark.parametrize("kinds", ["both", "inputs", "units"])
@given(seed=st.integers(0, 10_000))
@example(seed=394)
@settings(max_examples=2)
def test_searches_decide_as_exact_minima_do(kinds: str, seed: int) -> None:
    """Claims slightly below each exact minimum are proved, those slightly above are not."""
    model, x = network(seed), torch.zeros(1, 2)
    ball = box_around(x, 1.0)
    exact = autodual.exact_bounds(autodual.compile_dual(model, x), x, ball, ROWS).upper[0]
    room = 0.02 * (1 + exact.abs())
    for offset, true in ((exact - room, True), (exact + 1e-3 * room, False)):
        bounds = bounds_of(model, ball, x, single_rows(ROWS, offset))
        chosen: dict[str, list[Action] | None] = {
            "both": None,
            "inputs": [InputHalves(bounds.plan)],
            "units": [UnitSplits(bounds.plan, refreshes=False)],
        }
        # Trees of units end with programs alone: steps uphill may leave a last part open.
        solve = program_solver(Clock(math.inf)) if kinds == "units" else None
        search = searched(bounds, most=3000 if true else 100, actions=chosen[kinds], solve=solve)
        assert search.undecided == ([] if true else [0, 1, 2])


@pytest.mark.parametrize("seed", [8, 13])
def test_margins_hold_at_points_that_clipped_boxes_leave_out(seed: int) -> None:
    """A claim may be proved with room to spare, but of points left out only that they exceed it by a little."""
    model, x = network(seed), torch.zeros(1, 2)
    ball = box_around(x, 1.0)
    exact = autodual.exact_bounds(autodual.compile_dual(model, x), x, ball, ROWS[:1]).upper[0]
    for room in (0.05, 0.2):
        offset = exact - room * (1 + exact.abs())
        search = searched(bounds_of(model, ball, x, single_rows(ROWS[:1], offset)))
        assert search.undecided == []
        assert 0 < float(search.proved) <= float(exact - offset) + 1e-5


@pytest.mark.parametrize("seed", [0, 1, 14, 15])
def test_trees_of_units_end_with_the_multipliers_of_programs(seed: int) -> None:
    """With many inputs only units are split; where all of them are, steps uphill do not prove what these do."""
    model, x = network(seed, inputs=66, width=4), torch.zeros(1, 66)
    ball = box_around(x, 0.2)
    exact = autodual.exact_bounds(autodual.compile_dual(model, x), x, ball, ROWS[:1]).upper[0]
    offset = exact - 0.02 * (1 + exact.abs())
    solve = program_solver(Clock(math.inf))
    search = searched(bounds_of(model, ball, x, single_rows(ROWS[:1], offset)), solve=solve)
    assert search.undecided == [] and not search.stuck
    false = searched(bounds_of(model, ball, x, single_rows(ROWS[:1], exact + 1e-4)), most=400, solve=solve)
    assert false.undecided == [0]


class _LargestRow(nn.Module):
    """The largest of three rows of a model's outputs."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        first, second, third = (self.model(x) @ ROWS.T).split(1, 1)
        largest = first + (second - first).relu()
        return largest + (third - largest).relu()


@pytest.mark.parametrize("seed", [1, 2])
def test_programs_also_choose_the_combination_of_rows(seed: int) -> None:
    """Where several rows prove a part together, only the shares that the multipliers belong to prove it."""
    model, x = network(seed, inputs=66, width=4), torch.zeros(1, 66)
    ball = box_around(x, 0.2)
    exact = autodual.exact_bounds(autodual.compile_dual(_LargestRow(model), x), x, ball, torch.ones(1, 1)).upper[0]
    solve = program_solver(Clock(math.inf))
    for offset, stuck in ((exact - 1e-4 * (1 + exact.abs()), False), (exact + 1e-4, True)):
        claims = conjunctions(ROWS.unsqueeze(0), offset.expand(1, 3))
        search = searched(bounds_of(model, ball, x, claims), most=400, solve=solve)
        assert search.stuck == stuck and search.undecided == ([0] if stuck else [])


@given(seed=st.integers(0, 10_000))
@settings(max_examples=2)
def test_a_combination_of_rows_proves_what_no_row_does(seed: int) -> None:
    """The largest of three rows: the exact minimum is found by branch and bound over all points of a grid."""
    model, x = network(seed), torch.zeros(1, 2)
    axis = torch.linspace(-1, 1, 101)
    values = model(torch.cartesian_prod(axis, axis)) @ ROWS.T
    least = values.detach().amax(1).amin().double()
    offset = torch.stack([least - 0.3, least + 0.01]).unsqueeze(1).expand(2, 3)
    search = searched(bounds_of(model, box_around(x, 1.0), x, conjunctions(ROWS.expand(2, 3, 3), offset)))
    assert 1 in search.undecided


def _random_parts(bounds: PartBounds, actions: list[Action], depth: int, generator: torch.Generator) -> Parts:
    """32 parts, each the random half of a random half … by random choices among actions."""
    parts = bounds.roots().select(torch.zeros(32, dtype=torch.long))
    for level in range(depth):
        action = actions[level % len(actions)]
        refresh = bool(parts.stale.any())
        bounded = bounds.bound(parts, torch.float32, refresh=refresh, steps=2)
        choice = action.score(bounded)
        unit = torch.randint(_units(bounds, action), (32,), generator=generator)
        choice = _random_choice(bounded.parts, action, unit, choice)
        halves = action.children(bounded.parts, choice)
        first = torch.rand(32, generator=generator) < 0.5
        left, right = (list(half.tensors()) for half in halves)
        picked = iter(torch.where(first.reshape(-1, *[1] * (a.dim() - 1)), a, b) for a, b in zip(left, right))
        parts = halves[0].mapped(lambda _: next(picked))  # noqa: B023
    return parts


def _units(bounds: PartBounds, action: Action) -> int:
    return sum(action.sizes) if isinstance(action, UnitSplits) else bounds.first.shape.numel()


def _random_choice(parts: Parts, action: Action, unit: Tensor, choice):
    """A random scalar, split in the middle of what is known of it where that is possible, else the action's own."""
    intervals = [parts.intervals[name] for name in (action.sites if isinstance(action, UnitSplits) else ["input"])]
    lower, upper = (torch.cat([getattr(one, end).flatten(1) for one in intervals], 1) for end in ("lower", "upper"))
    low, high = (end.gather(1, unit.unsqueeze(1)).squeeze(1) for end in (lower, upper))
    middle = torch.where((low < 0) & (high > 0), 0.0, (low + high) / 2).double()
    fits = (low < middle) & (middle < high)
    return replace(choice, unit=torch.where(fits, unit, choice.unit), point=torch.where(fits, middle, choice.point))


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh, nn.Sigmoid, nn.LeakyReLU, nn.Softplus])
@given(seed=st.integers(0, 10_000), boxes=st.booleans())
@settings(max_examples=2)
def test_bounds_of_random_parts_hold_at_their_points(activation, seed: int, boxes: bool) -> None:
    """Sampled points that lie in a part, by the network's own values at all sites, are not below its bound."""
    generator = torch.Generator().manual_seed(seed)
    model, x = network(seed, activation=activation), torch.zeros(1, 2)
    ball = box_around(x, 1.0) if boxes else autodual.L2Ball(1.0)
    bounds = bounds_of(model, ball, x, single_rows(ROWS[:1], torch.zeros(1)))
    actions: list[Action] = [UnitSplits(bounds.plan, refreshes=boxes)]
    actions += [InputHalves(bounds.plan)] if boxes else []
    parts = _random_parts(bounds, actions, 5, generator)
    points = ball.at(x.double()).sample(3000, generator)[:, 0]
    values = bounds.plan.graph.evaluate([points], bounds.environments[torch.float64])
    row = values[bounds.plan.graph.outputs[0]] @ ROWS[0].double()
    inside = torch.ones(32, 3000, dtype=torch.bool)
    for name, interval in parts.intervals.items():
        inside &= _contains(interval, values[name])
    assert bool(inside.any())
    for steps in (0, 5):
        found = bounds.bound(parts, torch.float32, refresh=bool(parts.stale.any()), steps=steps)
        assert bool((torch.where(inside, row, torch.inf).amin(1) >= found.parts.bound.clamp(max=1e30)).all())
        for name, interval in found.parts.intervals.items():
            assert bool((_contains(interval, values[name]) | ~inside).all()), f"a refreshed interval of {name} is false"


def _contains(interval: Interval, value: Tensor) -> Tensor:
    """Whether points' values `[P, *shape]` lie in parts' intervals `[M, *shape]`, `[M, P]`."""
    lower, upper = interval.lower.unsqueeze(1), interval.upper.unsqueeze(1)
    return ((value >= lower) & (value <= upper)).flatten(2).all(2)


# Over a larger set the bound of GELUs is one by parallel lines, which parts alone do not have.
@pytest.mark.parametrize(("activation", "radius"), [(nn.Tanh, 0.5), (nn.Sigmoid, 0.5), (nn.GELU, 0.25)])
def test_units_of_smooth_activations_are_split(activation, radius: float) -> None:
    """A fifth of the gap between the bound of the whole set and a sampled minimum is closed by splits alone."""
    model, x = network(3, inputs=3, width=8, activation=activation), torch.zeros(1, 3)
    ball = box_around(x, radius)
    dual = autodual.compile_dual(model, x)
    root = float(dual.lower_bounds(x.double(), ball, ROWS[:1].double(), slopes="adaptive").detach())
    least = float((dual.outputs(ball.at(x.double()).sample(20_000)[:, 0]).detach() @ ROWS[0].double()).min())
    claims = single_rows(ROWS[:1], torch.tensor([root + 0.2 * (least - root)]))
    bounds = bounds_of(model, ball, x, claims)
    search = searched(bounds, most=600, actions=[UnitSplits(bounds.plan, refreshes=True)])
    assert not search.undecided and search.parts > 1
