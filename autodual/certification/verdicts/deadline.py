"""Interrupts the main thread by an exception when the time is up, as a last resort."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class TimeUp(BaseException):
    """The time allowed is over; not an Exception, so that no library swallows it."""


def _on_alarm(_signal_number: int, _frame: FrameType | None) -> None:
    raise TimeUp


# About three years, in seconds: timers of all systems can hold it.
_LONGEST = 1e8


def _usable() -> bool:
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        return False
    return signal.getitimer(signal.ITIMER_REAL)[0] == 0 and signal.getsignal(signal.SIGALRM) == signal.SIG_DFL


@contextmanager
def deadline(seconds: float | None) -> Iterator[None]:
    """Inside this context, raise TimeUp after so many seconds; never for None or infinity.

    A long operation of native code is not interrupted; the exception comes when it returns. Nothing is raised outside
    the main thread, on systems without timers, or while someone else uses the timer, such as an outer deadline.
    """
    if seconds is None or math.isinf(seconds) or not _usable():
        yield
        return
    before = signal.signal(signal.SIGALRM, _on_alarm)
    signal.setitimer(signal.ITIMER_REAL, min(max(seconds, 0.001), _LONGEST))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
