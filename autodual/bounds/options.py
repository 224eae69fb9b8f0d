"""How bounds are computed: options that cost time or memory, and the slope policy."""

from __future__ import annotations

from dataclasses import dataclass

from autodual.policies import DEFAULT_MEMORY_BUDGET, InnerBounds, Mode, Projection, SlopePolicy


@dataclass(frozen=True)
class BoundOptions:
    """Options of one bound computation; none but `slopes`, `inner`, `intersect` and `projection` changes a bound beyond
    rounding.

    slopes: `shared` is the thesis' u/(u - ℓ) for both lines; `adaptive` chooses the tighter lower line per unit.
    mode: `pull` rows back from each site, `push` columns forward (Algorithm 2), or what the cost model finds cheaper.
    windows: let rows of convolutions carry only their receptive field.
    skip_decided: compute no row for a unit whose relaxation interval arithmetic already settles.
    inner: `interval` leaves bound sites at interval arithmetic over the ops; only the last bound is dual then.
    intersect: let interval arithmetic over the ops themselves tighten every bound; None: wherever slopes are adaptive
    or an op asks for it (all but rectified linear units), so that shared slopes give the thesis' bounds.
    projection: estimate norms of rows by random projections, where layers are linear; None: never.
    memory_budget: bytes that the rows in flight may take.
    rigorous: widen every bound by an upper bound of its own rounding error.
    """

    slopes: SlopePolicy = "shared"
    mode: Mode = "auto"
    windows: bool = True
    skip_decided: bool = True
    inner: InnerBounds = "dual"
    intersect: bool | None = None
    projection: Projection | None = None
    memory_budget: int = DEFAULT_MEMORY_BUDGET
    rigorous: bool = False
