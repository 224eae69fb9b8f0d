"""The time that is left, and batches small enough that it is checked often."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from autodual.exact.time_allowed import Clock

__all__ = ["Clock", "Pace", "batches"]

# Seconds that one batch should take at most.
_STRIDE = 0.5
_LARGEST = 1024


@dataclass
class Pace:
    """How many items to take at a time, from how long the last ones took."""

    size: int = 1

    def learn(self, seconds: float) -> None:
        """Double while a batch is quick, halve when it was slow."""
        if seconds < _STRIDE / 2:
            self.size = min(2 * self.size, _LARGEST)
        elif seconds > _STRIDE:
            self.size = max(self.size // 2, 1)


def batches(count: int, clock: Clock) -> Iterator[range]:
    """0, …, count - 1 in batches that suit the pace, until the time is over."""
    pace, place = Pace(16), 0
    while place < count and not clock.over:
        start = time.monotonic()
        stop = min(place + pace.size, count)
        yield range(place, stop)
        place = stop
        pace.learn(time.monotonic() - start)
