"""Choices that cut through all layers; imports nothing heavy, so the command line can list them at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: Which dual feasible slopes a relaxation takes: the thesis' u/(u - ℓ) for both lines, the tighter lower line a unit,
#: or for each row of the last bound the best that a search finds (those of bounds inside the network are adaptive).
SlopePolicy = Literal["shared", "adaptive", "optimized"]

#: How bounds inside the network are had: dual bounds of every undecided unit, or interval arithmetic, cheap and loose.
InnerBounds = Literal["dual", "interval"]

#: How the last bound, that of what is asked of the outputs, is had: by dual rows down to the input, or by intervals of
#: the nonlinear layers nearest to the output, which only the affine layers behind them are taken together for.
LastBound = Literal["dual", "interval"]

#: How rows meet the input: pulled back from each bound site, pushed forward from the input, or the cheaper a site.
Mode = Literal["auto", "pull", "push"]

DEFAULT_MEMORY_BUDGET = 1 << 30

#: The label of what nothing is claimed of, as in `torch.nn.functional.cross_entropy`.
IGNORED = -100

#: Which bounds random projections estimate: those of bound sites inside the network, that of the objective, or both.
ProjectedBounds = Literal["inner", "last", "both"]


@dataclass(frozen=True)
class Projection:
    """How norms of rows are estimated rather than computed from all rows.

    dim: how many random columns see each row. seed: where their numbers begin; None lets torch's global generator
    choose, anew at each call. where: which bounds are estimated. delta: the probability with which some estimate of a
    sample may fall short of its norm; None estimates by medians, whose bounds prove nothing. prefer_exact: samples
    whose undecided units cost less by exact rows get those.
    """

    dim: int
    seed: int | None = None
    where: ProjectedBounds = "inner"
    delta: float | None = None
    prefer_exact: bool = False

    @property
    def certifies(self) -> bool:
        """Whether bounds hold with a known probability."""
        return self.delta is not None
