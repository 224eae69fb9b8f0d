"""Searches for slopes on networks with constants beside what depends on the input."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import autodual
from autodual import LinfBall


class _Token(nn.Module):
    """A hidden layer beside a constant, the constant first or last, and a ReLU of both together."""

    def __init__(self, *, first: bool):
        super().__init__()
        self.into, self.out = nn.Linear(3, 4), nn.Linear(6, 2)
        self.token, self.first = nn.Parameter(torch.tensor([[0.5, -1.0]])), first

    def forward(self, x: Tensor) -> Tensor:
        hidden, token = self.into(x), self.token.expand(x.shape[0], -1)
        parts = [token, hidden] if self.first else [hidden, token]
        return self.out(torch.relu(torch.cat(parts, 1)))


@pytest.mark.parametrize("first", [True, False])
def test_a_constant_beside_rows(first: bool) -> None:
    torch.manual_seed(0)
    model = _Token(first=first).double().eval()
    x, ball, rows = torch.randn(3, 3).double(), LinfBall(0.7), torch.tensor([[1.0, -1.0], [-1.0, 2.0]]).double()
    dual = autodual.compile_dual(model, x)
    found = dual.lower_bounds(x, ball, rows, slopes="optimized")
    points = x.unsqueeze(1) + 0.7 * (2 * torch.rand(3, 500, 3).double() - 1)
    least = (model(points.flatten(0, 1)).detach() @ rows.T).unflatten(0, (3, 500)).amin(1)
    assert (found <= least).all()
    assert (found >= dual.lower_bounds(x, ball, rows, slopes="adaptive") - 1e-9).all()
