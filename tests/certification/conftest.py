"""A small classifier and samples for all tests of certification."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import autodual


def classifier(seed: int = 0) -> nn.Sequential:
    """Three classes of points in the plane."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(2, 12), nn.ReLU(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 3)).double()
    with torch.no_grad():
        for layer in model[::2]:
            layer.weight *= 2
        # Outputs around zero, so that every class wins somewhere.
        model[-1].bias -= model(2 * torch.randn(500, 2, dtype=torch.float64)).mean(0)
    return model


@pytest.fixture
def dual() -> autodual.DualNetwork:
    return autodual.compile_dual(classifier())


@pytest.fixture
def x() -> Tensor:
    return 2 * torch.randn(40, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.fixture
def labels(dual: autodual.DualNetwork, x: Tensor) -> Tensor:
    """The predicted classes, changed for the first five samples."""
    predicted = dual.outputs(x).argmax(1)
    predicted[:5] = (predicted[:5] + 1) % 3
    return predicted
