"""The bounds engine: interval sweeps, backward rows and forward columns over any graph; knows no op by name."""

from autodual.bounds.engine.executed_error import Execution, execution
from autodual.bounds.engine.sweep import ObjectiveBounds, objective_bounds, prepare
from autodual.bounds.memory.recomputation import recomputed
from autodual.bounds.options import BoundOptions
from autodual.bounds.projected.projections import Projections
from autodual.bounds.rows.pull import LinearBound
from autodual.bounds.state.bound_state import BoundState
from autodual.bounds.state.kept_bytes import Ledger

__all__ = [
    "BoundOptions",
    "BoundState",
    "Execution",
    "Ledger",
    "LinearBound",
    "ObjectiveBounds",
    "Projections",
    "execution",
    "objective_bounds",
    "prepare",
    "recomputed",
]
