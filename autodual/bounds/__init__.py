"""The bounds engine: interval sweeps, backward rows and forward columns over any graph; knows no op by name."""

from autodual.bounds.compute import ObjectiveBounds, objective_bounds, prepare
from autodual.bounds.execution import Execution, execution
from autodual.bounds.ledger import Ledger
from autodual.bounds.options import BoundOptions
from autodual.bounds.projection import Projections
from autodual.bounds.pull import LinearBound
from autodual.bounds.recomputation import recomputed
from autodual.bounds.state import BoundState

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
