"""The bounds engine: interval sweeps, backward rows and forward columns over any graph; knows no op by name."""

from autodual.bounds.compute import ObjectiveBounds, objective_bounds, prepare
from autodual.bounds.ledger import Ledger
from autodual.bounds.options import BoundOptions
from autodual.bounds.projection import Projections
from autodual.bounds.pull import LinearBound
from autodual.bounds.recomputation import recomputed
from autodual.bounds.state import BoundState

__all__ = [
    "BoundOptions",
    "BoundState",
    "Ledger",
    "LinearBound",
    "ObjectiveBounds",
    "Projections",
    "objective_bounds",
    "prepare",
    "recomputed",
]
