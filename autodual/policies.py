"""Choices that all layers share; imports nothing heavy, so the command line can list them at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: The slopes of relaxations: the thesis' u/(u - ℓ) for both lines; the tighter lower line for each unit; or, for each
#: row of the last bound, the best that a search finds (bounds inside the network are then adaptive).
SlopePolicy = Literal["shared", "adaptive", "optimized"]

#: How much work a certificate may cost: stages of ever tighter bounds, then branch and bound. Each sees what is open.
Effort = Literal["fast", "normal", "high", "complete"]

#: Bounds inside the network: dual bounds of every undecided unit, or interval arithmetic, which is cheap and loose.
InnerBounds = Literal["dual", "interval"]

#: The last bound, that of the objective: dual rows pulled down to the input, or rows pulled through the last affine
#: layers only, then bounded by the intervals of the nonlinear layers nearest to the output.
LastBound = Literal["dual", "interval"]

#: Rows are pulled back from each bound site, pushed forward from the input, or whichever is cheaper for the site.
Mode = Literal["auto", "pull", "push"]

#: The units of a bound site that get rows: those whose bounds matter; all of them, so that no shape depends on values;
#: or, on a GPU, all of them where that is little work.
Layout = Literal["auto", "sparse", "dense"]

DEFAULT_MEMORY_BUDGET = 1 << 30

#: A certified radius is searched to this share of the largest one, unless asked otherwise, and at most to the second.
RADIUS_RESOLUTION, COARSEST_RESOLUTION = 1e-4, 0.1

#: The label of positions about which nothing is claimed, as in `torch.nn.functional.cross_entropy`.
IGNORED = -100

#: Which bounds random projections estimate: those of bound sites inside the network, that of the objective, or both.
ProjectedBounds = Literal["inner", "last", "both"]


@dataclass(frozen=True)
class Projection:
    """How the norms of rows are estimated from random projections.

    Args:
        dim: the number of random columns.
        seed: of the columns; None draws it from torch's global generator at each call.
        where: which bounds are estimated.
        delta: the probability that any estimate of a sample falls short of its norm; None estimates by medians, whose
            bounds prove nothing.
        prefer_exact: use exact rows for samples whose undecided units make them cheaper.

    Example:
        >>> from autodual.policies import Projection
        >>> Projection(50).certifies, Projection(2000, seed=0, delta=0.01).certifies
        (False, True)
    """

    dim: int
    seed: int | None = None
    where: ProjectedBounds = "inner"
    delta: float | None = None
    prefer_exact: bool = False

    @property
    def certifies(self) -> bool:
        """Whether bounds hold with a stated probability."""
        return self.delta is not None
