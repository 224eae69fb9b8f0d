"""Rows are grouped by sample: each is in one pack, in its own sample's group, and padding stays within its limit."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import autodual
from autodual.bounds.rows.packing import packs
from autodual.dual.row_products import product_of_columns
from autodual.measured import measured

counts = st.lists(st.integers(1, 9), min_size=1, max_size=8)


@given(counts, st.integers(1, 20), st.integers(0, 12))
def test_each_row_is_in_one_pack_with_its_sample(counts: list[int], limit: int, padding: int) -> None:
    owner = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts)) * 3
    places, found = torch.arange(len(owner)), []
    for pack in packs(owner, limit, padding):
        rows, size = places[pack.rows], len(pack.home) * pack.count
        cells = torch.arange(size) if pack.cells is None else pack.cells
        assert torch.equal(owner[rows], pack.home.repeat_interleave(pack.count)[cells])
        assert len(cells) == len(rows) == len(cells.unique())
        assert size - len(rows) <= padding and size <= limit
        found.append(rows)
    assert torch.equal(torch.cat(found).sort().values, places)
    if len(found) == 1:
        assert torch.equal(found[0], places)


@pytest.mark.parametrize("slopes", ["shared", "adaptive"])
@torch.no_grad()
def test_bounds_do_not_depend_on_the_packs(monkeypatch: pytest.MonkeyPatch, slopes: str) -> None:
    torch.manual_seed(3)
    layers = [part for pair in ((6, 12), (12, 12), (12, 12)) for part in (nn.Linear(*pair), nn.ReLU())]
    dual, ball = autodual.compile_dual(nn.Sequential(*layers, nn.Linear(12, 3)).double()), autodual.LinfBall(0.2)
    x, rows = torch.randn(7, 6, dtype=torch.float64), torch.eye(3, dtype=torch.float64)
    monkeypatch.setattr(measured, "another_pull_work", 0)  # no padding, and rows of the wanted units alone
    alone = torch.cat([dual.lower_bounds(one[None], ball, rows, slopes=slopes) for one in x])
    for work in (0, 10**9):  # and any number of rows, those of all units included
        for cache in (1 << 12, 1 << 14, 1 << 20):
            monkeypatch.setattr(measured, "another_pull_work", work)
            monkeypatch.setattr(measured, "cache_bytes", cache)
            monkeypatch.setattr(measured, "zero_columns_work", 10**9 - work)
            together = dual.lower_bounds(x, ball, rows, slopes=slopes)
            torch.testing.assert_close(together, alone, atol=1e-12, rtol=1e-12)


@torch.no_grad()
def test_products_leave_out_columns_of_zeros_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "zero_columns_work", 0)
    matrix, values = torch.randn(4, 3, dtype=torch.float64), torch.randn(1, 5, 2, 4, dtype=torch.float64)
    values[..., 1:3] = 0
    torch.testing.assert_close(product_of_columns(values, matrix), values @ matrix)
    for number in (torch.nan, torch.inf, -torch.inf):
        spoilt = matrix.clone()
        spoilt[1, 2] = number  # meets zeros alone, but 0 · NaN and 0 · ∞ are NaN
        torch.testing.assert_close(product_of_columns(values, spoilt), values @ spoilt, equal_nan=True)
    values[0, 2, 0, 1] = torch.nan
    torch.testing.assert_close(product_of_columns(values, matrix), values @ matrix, equal_nan=True)


@pytest.mark.parametrize("work", [0, 10**12])
@pytest.mark.parametrize("number", [torch.nan, torch.inf])
def test_weights_that_are_no_numbers_prove_nothing(work: int, number: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """The claim weighs the broken unit with zero; a run of the network still returns NaN for it."""
    monkeypatch.setattr(measured, "zero_columns_work", work)
    torch.manual_seed(0)
    first, second, third = (nn.Linear(*sizes).double() for sizes in ((4, 6), (6, 3), (6, 3)))
    nn.init.zeros_(second.weight[:, 2])
    nn.init.zeros_(third.weight[:, 2])

    class Forked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList([first, second, third])

        def forward(self, x: Tensor) -> Tensor:
            z = first(x)
            return second(z).relu() + third(z)

    model, x = Forked(), torch.rand(1, 4).double()  # one group of rows
    dual = autodual.compile_dual(model, x)
    with torch.no_grad():
        first.weight[2, 1] = number  # after compilation, as training does it
        assert model(x).isnan().all()
        assert dual.lower_bounds(x, autodual.LinfBall(0.01), torch.eye(3).double()).isnan().all()
