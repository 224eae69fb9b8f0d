"""Linear programs of parts that a search cannot split any more, solved where HiGHS is installed."""

from __future__ import annotations

from importlib.util import find_spec

import torch
from torch import Tensor

from autodual.exact import Cut, multipliers_of
from autodual.exact.time_allowed import Clock
from autodual.search import LeafProgram, SolveProgram


def program_solver(clock: Clock) -> SolveProgram | None:
    """Solves programs while there is time; None where HiGHS is not installed, without which a search still runs."""
    if find_spec("highspy") is None:
        return None

    def solve(program: LeafProgram) -> tuple[Tensor, Tensor | None] | None:
        parts = (program.slope, program.offset, program.rows, program.least, program.lower, program.upper)
        found = multipliers_of(Cut(*(part.cpu().numpy() for part in parts)), clock.left)
        if found is None:
            return None
        beta, point = (None if part is None else torch.as_tensor(part).to(program.slope) for part in found)
        assert beta is not None
        return beta, point

    return solve
