"""The time that is left, and batches small enough that it is checked often."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

from autodual.certification.growing_batches import growing_batches
from autodual.exact.time_allowed import Clock

__all__ = ["Clock", "Pace", "batches"]

# Seconds that a batch should take at most, while no more than this share of them does not depend on its size.
_STRIDE = 0.5
_WASTE = 0.25
# A line through two batches says something where their sizes differ by this factor.
_APART = 1.2
_FIRST, _LARGEST = 16, 4096


@dataclass
class Pace:
    """The next batch's size, from what batches cost: so many seconds each, and so many for every item.

    Batches get smaller only where that saves the time of items: where most of a batch's seconds do not depend on its
    size, as on a slow or busy machine, smaller batches would take as long and do less.

    Args:
        size: of the first batch.
        most: the largest size.
        stride: seconds that a batch should take at most.

    Example:
        >>> from autodual.certification.verdicts.clock import Pace
        >>> pace = Pace(8)
        >>> pace.learn(8, 0.1)
        >>> pace.size
        16
    """

    size: int = 1
    most: int = _LARGEST
    stride: float = _STRIDE
    _count: int = 0
    _seconds: float = 0.0
    _fixed: float = 0.0

    def learn(self, count: int, seconds: float) -> None:
        """Take in how long a batch took.

        Args:
            count: its items.
            seconds: its time.
        """
        fewer, more = sorted((count, self._count))
        if fewer and more > _APART * fewer:
            slope = max((seconds - self._seconds) / (count - self._count), 0.0)
            self._fixed = max(seconds - slope * count, 0.0)
        self._count, self._seconds, self._fixed = count, seconds, min(self._fixed, seconds)
        each = max(seconds - self._fixed, 1e-9) / max(count, 1)
        in_time, worthwhile = (self.stride - self._fixed) / each, self._fixed * (1 / _WASTE - 1) / each
        wanted = min(max(in_time, worthwhile), 2 * count)
        self.size = int(min(max(wanted, count / 2, 1), self.most))


def batches(count: int, clock: Clock) -> Iterator[range]:
    """0, …, count - 1 in batches that suit the pace, until the time is over.

    Where time is not limited batches are the same in each run, and so are the bits of what they compute.
    """
    if math.isinf(clock.left):
        yield from growing_batches(count, _FIRST, _LARGEST)
        return
    pace, place = Pace(_FIRST), 0
    while place < count and not clock.over:
        start = time.monotonic()
        batch = range(place, min(place + pace.size, count))
        yield batch
        place = batch.stop
        pace.learn(len(batch), time.monotonic() - start)
