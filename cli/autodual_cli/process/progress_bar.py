"""A progress bar on standard error when a person watches, and silence when nobody does."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click


class Display:
    """What a command shows while it works; without a bar only the lines that it says.

    Call it with how many more samples are finished, and what to say of them beside the bar.
    """

    def __init__(self, bar: Any = None, total: int = 0, done: int = 0, unit: str = "samples") -> None:
        self._unit = unit
        self._bar, self._done, self._fresh, self._start = bar, done, 0, time.monotonic()
        self._task = None if bar is None else bar.add_task("starting", total=total, completed=done)
        self._headline = ""

    def __call__(self, count: int, headline: str) -> None:
        if self._bar is None:
            return
        self._fresh += count
        rate = self._fresh / max(time.monotonic() - self._start, 1e-9)
        self._headline = f"{rate:.3g} {self._unit}/s  {headline}"
        self._bar.update(self._task, completed=self._done + self._fresh, description=self._headline)

    def note(self, words: str) -> None:
        """Say beside the bar what is going on before the next samples are finished."""
        if self._bar is not None:
            self._bar.update(self._task, description=f"{self._headline}  {words}".strip())

    def say(self, line: str, *, err: bool = False) -> None:
        """Print a line on standard output, or standard error; above the bar where both are on one screen."""
        if self._bar is not None and (sys.stderr if err else sys.stdout).isatty():
            self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            click.echo(line, err=err)


@contextmanager
def progress(total: int, done: int, *, enabled: bool, unit: str = "samples") -> Iterator[Display]:
    """A display of how many of `total` samples are finished.

    `done` samples were finished by an earlier run; they do not count for the rate. `unit` is what they are called.
    """
    if not enabled or not sys.stderr.isatty():
        yield Display()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    # Only what other code writes to standard error is put above the bar; standard output may be a file.
    with Progress(*columns, console=Console(file=sys.stderr), redirect_stdout=False) as bar:
        yield Display(bar, total, done, unit)
