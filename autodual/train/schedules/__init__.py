"""Numbers that change while a network is trained, as functions of the time in epochs.

A schedule is a frozen dataclass: it has no state, so that a resumed run goes on with the same numbers.
"""

from autodual.train.schedules.base import Constant, Schedule
from autodual.train.schedules.knots import Cyclic, PiecewiseLinear
from autodual.train.schedules.named_schedules import SCHEDULES
from autodual.train.schedules.ramps import Cosine, Linear, Ramp, Smooth
from autodual.train.schedules.stepped import MultipleDecay, Steps

__all__ = [
    "SCHEDULES",
    "Constant",
    "Cosine",
    "Cyclic",
    "Linear",
    "MultipleDecay",
    "PiecewiseLinear",
    "Ramp",
    "Schedule",
    "Smooth",
    "Steps",
]
