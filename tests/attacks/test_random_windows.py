"""Windows of the search without gradients: where they lie, and the hills in them."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from autodual.attacks.random_windows import Windows


@given(
    shape=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    share=st.floats(0.001, 1.0),
    seed=st.integers(0, 9999),
)
def test_hills_of_both_signs_fill_a_window(shape, share, seed):
    points = torch.zeros(3, *shape, dtype=torch.float64)
    windows = Windows.drawn(points, share, torch.Generator().manual_seed(seed))
    heights = windows.hills(points.dtype)
    assert windows.inside.shape == heights.shape == points.shape
    assert heights.dtype == points.dtype
    assert torch.equal(heights != 0, windows.inside)
    spatial = min(2, len(shape))
    sides = [min(extent, max(1, round(extent * share ** (1 / spatial)))) for extent in shape[-spatial:]]
    for inside, hills in zip(windows.inside, heights):
        extents = [inside.any(tuple(set(range(inside.dim())) - {axis})).sum() for axis in range(inside.dim())]
        assert [int(extent) for extent in extents] == [*shape[:-spatial], *sides]
        assert (hills < 0).any()  # a window of one entry is one hill alone
        assert (hills > 0).any() or 1 in sides


@pytest.mark.parametrize("seed", range(4))
def test_a_hill_falls_from_its_middle_by_squares(seed):
    windows = Windows.drawn(torch.zeros(1, 1, 12, 12), (6 / 12) ** 2, torch.Generator().manual_seed(seed))
    rows, columns = windows.inside[0, 0].nonzero(as_tuple=True)
    patch = windows.hills(torch.float32)[0, 0, rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    patch = patch if torch.equal(patch[:3], -patch[3:]) else patch.T
    assert torch.equal(patch[:3], -patch[3:])
    # Distances from (1, 3) to the edge at 3, and the sums of 1, 1/4, 1/9 and 1/16 from there on.
    sums = [1 + 1 / 4 + 1 / 9 + 1 / 16, 1 / 4 + 1 / 9 + 1 / 16, 1 / 9 + 1 / 16, 1 / 16]
    expected = [[sums[max(abs(i - 1), abs(j - 3))] for j in range(6)] for i in range(3)]
    torch.testing.assert_close(patch[:3], torch.tensor(expected))


def test_a_sample_that_is_one_number_is_a_window():
    windows = Windows.drawn(torch.zeros(3), 0.05, torch.Generator().manual_seed(0))
    assert windows.inside.all() and torch.equal(windows.hills(torch.float32), torch.ones(3))
