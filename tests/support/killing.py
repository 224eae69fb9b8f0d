"""Kills processes at each of their file operations in turn, instead of at random moments."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# A child that hangs is killed after this time, and the test fails.
_SECONDS = 60
_STEPS = ("open", "os.chmod", "os.link", "os.rename", "os.remove", "os.truncate")
_MOST = 200


def killed_at_each_step(action: Callable[[], object], folder: Path, prepare: Callable[[], None]) -> Iterator[int]:
    """Run `action` in a process that is killed before its first step, then its second, and so on, until it is not.

    A step is whatever opens, moves or removes a file in `folder`. `prepare` runs before each try; the number of the
    step is yielded after each.
    """
    for step in range(_MOST):
        prepare()
        if not _killed(action, folder, step):
            return
        yield step
    raise AssertionError(f"more than {_MOST} steps")


def _killed(action: Callable[[], object], folder: Path, step: int) -> bool:
    child = os.fork()
    if child == 0:
        try:
            signal.alarm(_SECONDS)
            _kill_at(step, folder)
            action()
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.waitstatus_to_exitcode(status) == 0
    return False


def _kill_at(step: int, folder: Path) -> None:
    place, left = str(folder), step

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        if event not in _STEPS or not any(_within(argument, place) for argument in arguments[:2]):
            return
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

    sys.addaudithook(hook)


def _within(argument: object, place: str) -> bool:
    return isinstance(argument, (str, Path)) and str(argument).startswith(place)
