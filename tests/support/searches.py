"""Small networks, claims about them, and searches over them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import autodual
from autodual.perturbations import Box, PerturbationSet
from autodual.search import Claims, PartBounds, SolveProgram, TreeSearch, suitable_actions
from autodual.search.actions import Action


def network(seed: int, inputs: int = 2, width: int = 6, activation: type[nn.Module] = nn.ReLU) -> nn.Module:
    """Two hidden layers and three outputs, all weights normal."""
    model = nn.Sequential(
        nn.Linear(inputs, width), activation(), nn.Linear(width, width), activation(), nn.Linear(width, 3)
    )
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator)
    return model.eval()


def bounds_of(model: nn.Module, ball: PerturbationSet, x: Tensor, claims: Claims) -> PartBounds:
    """Bounds of parts, in float32 at first."""
    dual = autodual.compile_dual(model, x)
    return PartBounds(dual, {kind: ball.at(x.to(kind)) for kind in (torch.float32, torch.float64)}, claims)


def searched(
    bounds: PartBounds,
    most: int = 3000,
    actions: list[Action] | None = None,
    solve: SolveProgram | None = None,
    steps: int = 6,
) -> TreeSearch:
    """A search that ends after so many parts."""
    search: TreeSearch
    actions = suitable_actions(bounds) if actions is None else actions
    over = lambda: search.parts > most  # noqa: E731
    search = TreeSearch(bounds, actions, over, memory=1 << 26, steps=steps, solve=solve)
    search.run()
    return search


def box_around(x: Tensor, radius: float) -> Box:
    """A box with float64 ends."""
    return Box(x.double() - radius, x.double() + radius)


def single_rows(matrix: Tensor, offset: Tensor) -> Claims:
    """One claim for each row: matrix · f > offset, about the first sample."""
    return conjunctions(matrix.unsqueeze(1), offset.unsqueeze(1))


def conjunctions(matrix: Tensor, offset: Tensor) -> Claims:
    """One claim for each group `[C, R, K]`: some row of it is above its offset `[C, R]`, about the first sample."""
    member = torch.ones(offset.shape, dtype=torch.bool)
    sample = torch.zeros(len(offset), dtype=torch.long)
    return Claims(matrix.double(), offset.double(), torch.zeros(offset.shape).double(), member, sample)
