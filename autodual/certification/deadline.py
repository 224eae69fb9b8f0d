"""Interrupts the main thread by an exception when the time is up, as a last resort."""

from __future__ import annotations

import math
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

import torch

Result = TypeVar("Result")


class TimeUp(BaseException):
    """The time allowed is over; not an Exception, so that no library swallows it."""


# Seconds beyond the time allowed after which a step is interrupted.
_GRACE = 1.0
# About three years, in seconds: timers of all systems can hold it.
_LONGEST = 1e8
# Seconds until the next try where an import was going on.
_SOON = 0.05
# What Python calls the file of its import system.
_IMPORTING = "<frozen importlib._bootstrap>"


def _imports(frame: FrameType | None) -> int:
    """How deep imports are nested around a frame."""
    count = 0
    while frame is not None:
        count += frame.f_code.co_filename == _IMPORTING
        frame = frame.f_back
    return count


def _usable() -> bool:
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        return False
    return signal.getitimer(signal.ITIMER_REAL)[0] == 0 and signal.getsignal(signal.SIGALRM) == signal.SIG_DFL


@contextmanager
def deadline(seconds: float | None) -> Iterator[None]:
    """Inside this context, raise TimeUp after so many seconds; never for None or infinity.

    A long operation of native code is not interrupted; the exception comes when it returns. Nor is an import that
    begins inside: half a module would stay for whoever imports it next. Nothing is raised outside the main thread, on
    systems without timers, or while someone else uses the timer, such as an outer deadline.
    """
    if seconds is None or math.isinf(seconds) or not _usable():
        yield
        return
    outside = _imports(sys._getframe())

    def on_alarm(_number: int, frame: FrameType | None) -> None:
        if _imports(frame) > outside:
            signal.setitimer(signal.ITIMER_REAL, _SOON)
        else:
            raise TimeUp

    before = signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, min(max(seconds, 0.001), _LONGEST))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def in_time(seconds: float, work: Callable[[], Result]) -> Result | None:
    """What some work returns; None where it was interrupted, a second after its time was up."""
    # An exception from outside must not leave the caller without gradients.
    with torch.set_grad_enabled(torch.is_grad_enabled()):
        try:
            with deadline(seconds + _GRACE):
                return work()
        except TimeUp:
            return None
