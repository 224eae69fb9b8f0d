"""A last resort against overtime: an exception in the main thread once the time is up."""

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


# Seconds, three years, that timers of any system can hold.
_LONGEST = 1e8


def _usable() -> bool:
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        return False
    return signal.getitimer(signal.ITIMER_REAL)[0] == 0 and signal.getsignal(signal.SIGALRM) == signal.SIG_DFL


@contextmanager
def deadline(seconds: float | None) -> Iterator[None]:
    """Raise TimeUp within, that many seconds from now; never where None or infinity is given.

    A long operation of native code is not interrupted, but what comes after it is. Nothing happens outside the main
    thread, where the system has no timers, and where the timer is someone else's, such as that of a deadline around
    this one.
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
