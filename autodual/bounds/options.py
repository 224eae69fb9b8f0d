"""How bounds are computed: options that cost time or memory, and the slope policy."""

from __future__ import annotations

from dataclasses import dataclass

from autodual.measured import measured
from autodual.policies import DEFAULT_MEMORY_BUDGET, InnerBounds, LastBound, Layout, Mode, Projection, SlopePolicy


@dataclass(frozen=True)
class BoundOptions:
    """Options of one bound computation.

    `slopes`, `inner`, `last`, `intersect`, `balls` and `projection` choose which bound it is; `rigorous` lowers it by
    its own rounding error. The others only arrange the work, and change no bound beyond rounding, with one exception:
    `skip_decided=False` (`all_units=True` of a call) makes some intervals tighter, as `known` ones do, and where
    `intersect` holds, as under adaptive slopes, tighter intervals may choose other lines. Those are sound too, but not
    tighter for every row, so that a bound may rise or fall.

    slopes: `shared` is the thesis' u/(u - ℓ) for both lines; `adaptive` chooses the tighter lower line per unit;
    `optimized` searches those of each row for itself, from the adaptive ones on.
    steps: how many steps a search of `optimized` slopes takes for rows of the last bound, and of the multipliers that
    constraints have there. inner_steps: the same for rows of bound sites' units; 0 leaves these with adaptive slopes.
    sweeps: how often bounds inside are searched again with all constraints, also those that lie behind them.
    enough: a lower bound with which a search for it may stop.
    mode: `pull` rows back from each site, `push` columns forward (Algorithm 2), or what the cost model finds cheaper.
    layout: pull rows for the units of a site whose bounds matter (`sparse`), for all units and use those that matter
    (`dense`), or what the cost model finds cheaper: never all units of a large site, and on a CPU only those of a tiny
    one. With `dense` no shape depends on values.
    windows: let rows of convolutions carry only their receptive field.
    skip_decided: compute no row for a unit whose relaxation interval arithmetic already settles.
    inner: `interval` leaves bound sites at interval arithmetic over the ops; only the last bound is dual then.
    last: `interval` ends the last bound's rows at the nonlinear layers nearest to the output; its linear functions are
    then constant in all inputs that rows do not reach. With `inner="interval"`
    that is interval bound propagation, the last affine layers merged, and no layer is relaxed at all.
    intersect: let interval arithmetic over the ops themselves tighten every bound; None: wherever slopes are adaptive
    or an op asks for it (all but rectified linear units), so that shared slopes give the thesis' bounds.
    balls: carry Euclidean balls around the clean values through the network, and let each row and relaxed layer pay for
    leaving them: tighter where the set is an l2 ball and many units are undecided.
    projection: estimate norms of rows by random projections, where layers are linear; None: never.
    memory_budget: bytes that a call may take, and with gradients its backward pass, beyond what was there before.
    at_once: how many samples, and rows, to bound at once at most, however much memory there is; None: no such limit.
    rigorous: widen every bound by an upper bound of its own rounding error.
    """

    slopes: SlopePolicy = "shared"
    steps: int = 60
    inner_steps: int = 10
    sweeps: int = 0
    enough: float | None = None
    mode: Mode = "auto"
    layout: Layout = "auto"
    windows: bool = True
    skip_decided: bool = True
    inner: InnerBounds = "dual"
    last: LastBound = "dual"
    intersect: bool | None = None
    projection: Projection | None = None
    memory_budget: int = DEFAULT_MEMORY_BUDGET
    balls: bool = False
    at_once: int | None = None
    rigorous: bool = False

    @property
    def fully_dual(self) -> bool:
        """Whether no bound is left to interval arithmetic."""
        return self.inner == "dual" and self.last == "dual"

    @property
    def relaxes(self) -> bool:
        """Whether anything needs linear relaxations; rounding is analysed layer by layer, hence by them too."""
        return self.rigorous or self.inner == "dual" or self.last == "dual"

    @property
    def room(self) -> int:
        """Bytes of the budget for tensors: what the libraries and the allocator take beside them is not theirs."""
        return self.memory_budget - min(self.memory_budget // 3, measured.process_bytes)
