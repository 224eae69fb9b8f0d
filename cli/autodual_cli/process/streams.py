"""Standard streams that are closed, full or read by nobody: the work goes on, and the exit status reports it."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any, TextIO

_NOBODY_READS = 128 + 13  # as the shell reports a program that SIGPIPE ends
_FAILED = 2


class _Forgiving(io.FileIO):
    """A stream that remembers its first failure instead of raising it."""

    failure: OSError | None = None

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            self.failure = self.failure or error
            return memoryview(data).nbytes


class StandardStreams:
    """This process's standard streams, made safe to print to while this object is used.

    A closed descriptor is first opened to the null device. Otherwise the next file that the process opens would get its
    number, and what libraries print would end up in that file. Letters outside the streams' encoding are escaped.
    """

    def __init__(self) -> None:
        for descriptor in (0, 1, 2):
            _open_if_closed(descriptor)
        self._output = _Forgiving(1, "w", closefd=False)
        sys.stdout = _text(self._output, sys.stdout)
        sys.stderr = _text(_Forgiving(2, "w", closefd=False), sys.stderr)

    def status(self, status: int) -> int:
        """The exit status of the process: `status`, or another one if what was printed could not be delivered."""
        sys.stdout.flush()
        failure = self._output.failure
        if failure is None:
            return status
        if failure.errno == errno.EPIPE:
            return _NOBODY_READS
        sys.stderr.write(f"Error: The standard output cannot be written: {failure.strerror}.\n")
        sys.stderr.flush()
        return _FAILED


def _open_if_closed(descriptor: int) -> None:
    try:
        os.fstat(descriptor)
    except OSError:
        nowhere = os.open(os.devnull, os.O_RDWR)
        if nowhere != descriptor:
            os.dup2(nowhere, descriptor)
            os.close(nowhere)


def _text(raw: io.FileIO, before: TextIO | None) -> io.TextIOWrapper:
    """A text stream over `raw` that has the encoding of the one it replaces."""
    encoding = getattr(before, "encoding", None) or "utf-8"
    through = bool(getattr(before, "write_through", False))
    buffered = io.BufferedWriter(raw)
    return io.TextIOWrapper(
        buffered, encoding, "backslashreplace", line_buffering=through or raw.isatty(), write_through=through
    )
