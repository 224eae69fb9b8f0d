"""Linear programs of parts that a search cannot split any more, solved where HiGHS is installed."""

from __future__ import annotations

from importlib.util import find_spec

import torch

from autodual.exact import Cut, multipliers_of
from autodual.exact.time_allowed import Clock
from autodual.search import LeafProgram, LeafSolution, SolveProgram


def program_solver(clock: Clock) -> SolveProgram | None:
    """Solves programs while there is time; None where HiGHS is not installed, without which a search still runs."""
    if find_spec("highspy") is None:
        return None

    def solve(program: LeafProgram) -> LeafSolution | None:
        parts = (program.slope, program.offset, program.rows, program.least, program.lower, program.upper)
        found = multipliers_of(Cut(*(part.cpu().numpy() for part in parts)), clock.left)
        if found is None:
            return None
        shares, beta = (torch.as_tensor(part).to(program.slope) for part in (found.functions, found.halfspaces))
        point = None if found.point is None else torch.as_tensor(found.point).to(program.slope)
        return LeafSolution(shares, beta, point)

    return solve
