"""Turning Ctrl-C and SIGTERM into an exception that arrives between two samples, never within a save."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupted(BaseException):
    """The user or the system asked the process to stop; not an Exception, so that no library swallows it."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"signal {signal_number}")
        self.exit_status = 128 + signal_number


class _State:
    """Which signal waits for a shielded section to end; there is one main thread, hence one state."""

    shielded = 0
    pending: int | None = None


def _on_signal(signal_number: int, _frame: FrameType | None) -> None:
    if _State.shielded:
        _State.pending = signal_number
    else:
        raise Interrupted(signal_number)


@contextmanager
def interruptible() -> Iterator[None]:
    """While this lasts, SIGINT and SIGTERM raise Interrupted in the main thread; afterwards all is as before."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def shielded() -> Iterator[None]:
    """Put off a signal until this section has ended; then it raises Interrupted."""
    _State.shielded += 1
    try:
        yield
    finally:
        _State.shielded -= 1
        if not _State.shielded and _State.pending is not None:
            number, _State.pending = _State.pending, None
            raise Interrupted(number)


def stop_requested() -> bool:
    """Whether a signal waits for the present shielded section to end."""
    return _State.pending is not None
