"""The bounds engine: interval sweeps, backward rows and forward columns over any graph; knows no op by name."""

from autodual.bounds.compute import ObjectiveBounds, objective_bounds, prepare
from autodual.bounds.options import BoundOptions
from autodual.bounds.projection import Projections
from autodual.bounds.pull import LinearBound
from autodual.bounds.state import BoundState

__all__ = ["BoundOptions", "BoundState", "LinearBound", "ObjectiveBounds", "Projections", "objective_bounds", "prepare"]
