"""The names of schedules in recipes."""

from __future__ import annotations

from autodual.train.schedules.base import Constant, Schedule
from autodual.train.schedules.knots import Cyclic, PiecewiseLinear
from autodual.train.schedules.ramps import Cosine, Linear, Smooth
from autodual.train.schedules.stepped import MultipleDecay, Steps

SCHEDULES: dict[str, type[Schedule]] = {
    "constant": Constant,
    "linear": Linear,
    "smooth": Smooth,
    "cosine": Cosine,
    "steps": Steps,
    "multiple": MultipleDecay,
    "piecewise-linear": PiecewiseLinear,
    "cyclic": Cyclic,
}
