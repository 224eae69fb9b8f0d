"""Linear programs of parts that a search cannot split any more, solved where HiGHS is installed."""

from __future__ import annotations

from importlib.util import find_spec

import torch
from torch import Tensor

from autodual.exact import Cut, multipliers_of
from autodual.exact.time_allowed import Clock
from autodual.search import Functions, LeafSolution, SolveProgram


def program_solver(clock: Clock) -> SolveProgram | None:
    """Solves programs while there is time; None where HiGHS is not installed, without which a search still runs."""
    if find_spec("highspy") is None:
        return None

    def solve(least: Functions, kept: Functions, lower: Tensor, upper: Tensor) -> LeafSolution | None:
        tensors = (least.slope, least.offset, kept.slope, -kept.offset, lower, upper)
        found = multipliers_of(Cut(*(tensor.cpu().numpy() for tensor in tensors)), clock.left)
        if found is None:
            return None
        shares, beta = (torch.as_tensor(part).to(lower) for part in (found.functions, found.halfspaces))
        return LeafSolution(shares, beta, None if found.point is None else torch.as_tensor(found.point).to(lower))

    return solve
