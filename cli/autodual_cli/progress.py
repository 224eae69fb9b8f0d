"""A progress bar on standard error when a person watches, and silence when nobody does."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress(total: int, done: int, *, enabled: bool) -> Iterator[Callable[[int, str], None]]:
    """Yields `advance(count, headline)`: another `count` of `total` samples are finished, and so is this said.

    `done` samples were finished by an earlier run; they do not count for the rate.
    """
    if not enabled or not sys.stderr.isatty():
        yield lambda count, headline: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=sys.stderr)) as bar:
        task = bar.add_task("starting", total=total, completed=done)
        start, fresh = time.monotonic(), 0

        def advance(count: int, headline: str) -> None:
            nonlocal fresh
            fresh += count
            rate = fresh / max(time.monotonic() - start, 1e-9)
            bar.update(task, completed=done + fresh, description=f"{rate:.3g} samples/s  {headline}")

        yield advance
