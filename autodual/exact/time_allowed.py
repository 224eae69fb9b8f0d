"""The time that a search may take."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from numbers import Real

from autodual.errors import InvalidInputError


@dataclass(frozen=True)
class Clock:
    """Seconds since it was made, those that are left, and whether the time allowed is over."""

    allowed: float = math.inf
    start: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.start

    @property
    def left(self) -> float:
        return self.allowed - self.seconds

    @property
    def over(self) -> bool:
        return self.seconds >= self.allowed


def checked_seconds(seconds: float, name: str) -> float:
    """The seconds that the argument `name` allows; raises InvalidInputError unless they are positive."""
    if not isinstance(seconds, Real) or not seconds > 0:
        raise InvalidInputError(f"{name} must be positive (math.inf for no limit), not {seconds!r}")
    return float(seconds)
