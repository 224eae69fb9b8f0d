"""Progress of long calls: a bar on standard error, or a function of the caller's."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

#: Called as `report(done, total, words)`, where `words` names what was done last.
Report: TypeAlias = Callable[[int, int, str], None]
#: True: a bar. False: nothing. A function: called with the progress.
Progress: TypeAlias = bool | Report


@contextmanager
def tracked(progress: Progress, total: int) -> Iterator[Callable[[int, str], None]]:
    """Yields `advance(done, words)`, to be called when `done` of `total` are finished.

    Args:
        progress: True for a bar on standard error (in a notebook below the cell), False for nothing, or a function
            that is called as `progress(done, total, words)`.
        total: the number of items.

    Example:
        >>> from autodual.progress import tracked
        >>> with tracked(lambda done, total, words: print(f"{done} of {total} {words}"), 2) as advance:
        ...     advance(1, "samples")
        1 of 2 samples
    """
    if callable(progress):
        report = progress
        yield lambda done, words: report(done, total, words)
    elif not progress:
        yield lambda done, words: None
    else:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
        with Bar(*columns, console=Console(file=sys.stderr)) as bar:
            task = bar.add_task("", total=total)
            yield lambda done, words: bar.update(task, completed=done, description=words)
