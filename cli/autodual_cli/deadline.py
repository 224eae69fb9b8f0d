"""A last resort against overtime: an exception in the main thread once the time is up."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class TimeUp(BaseException):
    """The time allowed is over; not an Exception, so that no library swallows it."""


def _on_alarm(_signal_number: int, _frame: FrameType | None) -> None:
    raise TimeUp


@contextmanager
def deadline(seconds: float | None) -> Iterator[None]:
    """Raise TimeUp within, that many seconds from now; never where there are no timers or None is given.

    A long operation of native code is not interrupted, but what comes after it is.
    """
    usable = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    if seconds is None or not usable:
        yield
        return
    before = signal.signal(signal.SIGALRM, _on_alarm)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.001))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
