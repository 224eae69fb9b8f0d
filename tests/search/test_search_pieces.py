"""The pieces of a search: clips keep every violation, halves hold every point, and the frontier keeps its order."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from autodual.certification.verdicts.clock import Pace
from autodual.certification.verdicts.open_cases import Unviolated
from autodual.certification.verdicts.property_search import claims_of
from autodual.search.calibration import Calibration
from autodual.search.clipped_boxes import clipped
from autodual.search.frontier import Frontier
from autodual.search.input_halves import InputHalves
from autodual.search.part_batch import Choice, Parts, joined
from autodual.search.part_bounds import PartBounds
from autodual.search.unit_splits import UnitSplits
from tests.support.searches import bounds_of, box_around, network, single_rows

ROWS = torch.tensor([[1.0, -1.0, 0.0], [0.5, 0.5, -1.0]])


@given(seed=st.integers(0, 10_000), rows=st.integers(1, 3))
@settings(max_examples=20)
def test_clips_keep_every_point_where_all_functions_are_at_most_zero(seed: int, rows: int) -> None:
    generator = torch.Generator().manual_seed(seed)

    def numbers(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    lower = numbers(8, 4)
    upper, slope, offset = lower + numbers(8, 4).abs(), numbers(8, rows, 4), numbers(8, rows)
    box = clipped(lower, upper, slope, offset, torch.ones(8, rows, dtype=torch.bool))
    points = lower + torch.rand(4000, 8, 4, generator=generator, dtype=torch.float64) * (upper - lower)
    violating = (torch.einsum("pmd,mrd->pmr", points, slope) + offset <= 0).all(2)
    inside = ((points >= box.lower) & (points <= box.upper)).all(2)
    assert bool((inside | ~violating).all()) and bool((box.lower <= box.upper).all())
    assert bool((box.lower > lower).any() | (box.upper < upper).any())


def test_one_clip_gives_the_exact_ends() -> None:
    """x + y ≤ 1 in [0, 2]²: both features end at 1."""
    lower, upper = torch.zeros(1, 2).double(), torch.full((1, 2), 2.0).double()
    box = clipped(lower, upper, torch.ones(1, 1, 2).double(), -torch.ones(1, 1).double(), torch.ones(1, 1).bool())
    assert torch.allclose(box.upper, torch.ones(1, 2).double(), atol=1e-12) and bool((box.upper >= 1).all())


def _bounds(seed: int = 0) -> PartBounds:
    return bounds_of(
        network(seed), box_around(torch.zeros(1, 2), 1.0), torch.zeros(1, 2), single_rows(ROWS, torch.zeros(2))
    )


@given(seed=st.integers(0, 100))
@settings(max_examples=3)
def test_two_halves_hold_every_point_of_their_parent(seed: int) -> None:
    bounds = _bounds(seed)
    parent = bounds.bound(bounds.roots(), torch.float32, refresh=True, steps=0)
    points = 2 * torch.rand(500, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) - 1
    values = bounds.plan.graph.evaluate([points], bounds.environments[torch.float64])
    for action in (UnitSplits(bounds.plan, refreshes=False), InputHalves(bounds.plan)):
        choice = action.score(parent)
        assert bool((choice.gain > 0).all())
        for place in range(2):
            held = [
                torch.stack(
                    [
                        ((values[name] >= one.lower[place]) & (values[name] <= one.upper[place])).flatten(1).all(1)
                        for name, one in half.intervals.items()
                    ]
                ).all(0)
                for half in action.children(parent.parts, choice)
            ]
            assert bool((held[0] | held[1]).all()) and not bool((held[0] & held[1]).all())


def _waiting(bounds: list[float]) -> Parts:
    roots = _bounds().roots().select(torch.zeros(len(bounds), dtype=torch.long))
    return replace(roots, bound=torch.tensor(bounds, dtype=torch.float64))


def test_the_worst_parts_come_first_and_the_last_ones_where_room_is_short() -> None:
    frontier = Frontier(1 << 24)
    frontier.put(_waiting([-1.0, -3.0, -2.0]))
    frontier.put(_waiting([-2.5, -0.5]))
    assert frontier.take(2).bound.tolist() == [-3.0, -2.5]
    assert frontier.take(9).bound.tolist() == [-2.0, -1.0, -0.5] and len(frontier) == 0
    crowded = Frontier(0)  # it keeps 64 parts all the same
    crowded.put(_waiting([-float(number) for number in range(70)]))
    assert len(crowded) == 64
    assert crowded.take(2).bound.tolist() == [-63.0, -62.0]


def test_calibration_learns_the_ratio_within_limits() -> None:
    calibration = Calibration()
    assert calibration.factor("unit") == 1.0 and not calibration.knows
    calibration.learn("unit", torch.tensor([1.0, 1.0, torch.nan]), torch.tensor([3.0, 5.0, 1.0]))
    assert calibration.factor("unit") == 4.0 and calibration.knows
    calibration.learn("input", torch.tensor([1e-9]), torch.tensor([1.0]))
    assert calibration.factor("input") == 50.0
    assert [Calibration(batches=number).compares() for number in (6, 7)] == [False, True]


def test_batches_whose_time_does_not_depend_on_their_size_do_not_shrink() -> None:
    """One second a batch, as on a busy machine, and a millisecond an item: halving would do less in the same time."""
    pace = Pace(16)
    for _ in range(20):
        pace.learn(pace.size, 1.0 + 1e-3 * pace.size)
    assert pace.size > 500
    slow = Pace(1024)
    for _ in range(20):
        slow.learn(slow.size, 0.1 * slow.size)
    assert slow.size <= 5


def test_a_choice_maps_all_its_tensors() -> None:
    choice = Choice(*(torch.zeros(2) for _ in range(3)))
    assert all(bool((value == 1).all()) for value in vars(choice.mapped(lambda tensor: tensor + 1)).values())


def test_claims_of_a_property_have_the_rows_of_their_conjunctions_alone() -> None:
    matrix, offset = torch.arange(12.0).reshape(1, 4, 3).double(), torch.arange(4.0).unsqueeze(0).double()
    member = torch.tensor([[[False, True, False, False], [True, False, False, True]]])
    spec = Unviolated(matrix, offset, member, torch.zeros(1, 4, dtype=torch.bool), torch.zeros(1, 4).double())
    claims = claims_of(SimpleNamespace(spec=spec), ((0, 0), (0, 1)))
    assert claims.member.tolist() == [[True, False], [True, True]]
    assert claims.offset[claims.member].tolist() == [1.0, 0.0, 3.0]
    assert torch.equal(claims.matrix[claims.member], matrix[0, [1, 0, 3]])


def test_only_parts_with_split_units_take_steps_where_intervals_are_computed_again() -> None:
    model, x = network(5, inputs=3, width=12), torch.zeros(1, 3)
    bounds = bounds_of(model, box_around(x, 1.0), x, single_rows(ROWS[:1], torch.zeros(1)))
    action = UnitSplits(bounds.plan, refreshes=True)
    root = bounds.bound(bounds.roots(), torch.float32, refresh=True, steps=0)
    halves = action.children(root.parts, action.score(root))
    parts = joined([bounds.roots(), *(replace(half, choices={}) for half in halves)])
    still, moved = (bounds.bound(parts, torch.float64, refresh=True, steps=steps).parts for steps in (0, 8))
    torch.testing.assert_close(moved.bound[0], still.bound[0], rtol=1e-12, atol=0.0)
    assert bool((moved.bound >= still.bound - 1e-9).all()) and bool((moved.bound[1:] > still.bound[1:]).any())
