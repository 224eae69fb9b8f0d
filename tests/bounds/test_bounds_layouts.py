"""Rows of all units of a site give the bounds that rows of its undecided units give, and one static graph."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import autodual
from autodual.bounds.memory import row_chunks
from autodual.passes import ChooseExecution, default_pipeline


def _compiled(model: nn.Module, x: torch.Tensor, **options) -> autodual.DualNetwork:
    return autodual.compile_dual(model, x, passes=[*default_pipeline(), ChooseExecution(**options)])


class _Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third, self.last = (nn.Linear(8, 8) for _ in range(4))

    def forward(self, x):
        x = self.first(x).relu()
        return self.last(self.third(x + self.second(x).relu()).relu())


def _convolutional() -> nn.Module:
    return nn.Sequential(
        *(nn.Unflatten(1, (2, 2, 2)), nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 3, 2, padding=1)),
        *(nn.ReLU(), nn.Conv2d(3, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        nn.Linear(3, 8),
    )


def _dense() -> nn.Module:
    layers = [part for _ in range(3) for part in (nn.Linear(8, 8), nn.ReLU())]
    return nn.Sequential(*layers, nn.Linear(8, 8))


BUILDS = {"dense": _dense, "branches": _Branches, "convolutional": _convolutional}
X, ROWS = torch.rand(5, 8, dtype=torch.float64), torch.eye(8, dtype=torch.float64)[:3]
BALLS = (autodual.LinfBall(0.2, (0.0, 1.0)), autodual.L2Ball(0.3))


@pytest.fixture(scope="module", params=BUILDS)
def both(request) -> tuple[autodual.DualNetwork, autodual.DualNetwork]:
    """A network compiled for rows of undecided units, and for rows of all units."""
    torch.manual_seed(0)
    model = BUILDS[request.param]().double().eval()
    return _compiled(model, X, layout="sparse"), _compiled(model, X, layout="dense")


@pytest.mark.parametrize("slopes", ["shared", "adaptive"])
@pytest.mark.parametrize("rigorous", [False, True])
@pytest.mark.parametrize("ball", BALLS)
def test_both_layouts_give_the_same_bounds(both, slopes, rigorous, ball):
    sparse, dense = (dual.lower_bounds(X, ball, ROWS, slopes=slopes, rigorous=rigorous) for dual in both)
    torch.testing.assert_close(dense, sparse, rtol=0, atol=1e-12)
    torch.testing.assert_close(
        torch.autograd.grad(dense.sum(), list(both[1].model.parameters())),
        torch.autograd.grad(sparse.sum(), list(both[0].model.parameters())),
        rtol=0,
        atol=1e-10,
    )


@pytest.mark.parametrize("rows", [1, 7, 30])
def test_all_units_are_bounded_a_few_rows_at_a_time(both, rows, monkeypatch):
    dense = both[1]
    expected = dense.lower_bounds(X, BALLS[0], ROWS, slopes="adaptive")
    monkeypatch.setattr(row_chunks.Chunks, "groups", lambda self, count, gain=1: max(1, rows // count))
    found = dense.lower_bounds(X, BALLS[0], ROWS, slopes="adaptive")
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("slopes", "rigorous"), [("shared", False), ("adaptive", True)])
def test_a_whole_dual_bound_is_one_static_graph(both, slopes, rigorous):
    dense = both[1]

    def bounds(x, radius):
        return dense.lower_bounds(x, autodual.LinfBall(radius, (0.0, 1.0)), ROWS, slopes=slopes, rigorous=rigorous)

    graph = autodual.capture(bounds, dense, X, torch.tensor(0.05))
    radius = torch.tensor(0.3)  # other units are undecided
    torch.testing.assert_close(graph(X.flip(1), radius), bounds(X.flip(1), radius).detach(), rtol=0, atol=1e-12)


def test_touching_points_are_part_of_the_graph():
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3), nn.Sigmoid()), torch.rand(2, 3)
    dual = _compiled(model, x, layout="dense")

    def bounds(x):
        return dual.lower_bounds(x, autodual.LinfBall(0.5), torch.eye(3), slopes="adaptive")

    graph = autodual.capture(bounds, dual, x)
    torch.testing.assert_close(graph(1 - 3 * x), bounds(1 - 3 * x).detach())


def test_a_layout_is_checked():
    with pytest.raises(autodual.errors.InvalidInputError, match="layout must be 'auto', 'sparse' or"):
        ChooseExecution(layout="all")  # type: ignore[arg-type]
    with pytest.raises(autodual.errors.InvalidInputError, match="leave mode='push' out"):
        ChooseExecution(layout="dense", mode="push")
