"""Instances of a benchmark in processes of their own, several at a time, as the competition runs a verifier.

A process has its own memory and start-up, and one that hangs or is killed costs its own instance alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autodual.properties.instance_list import Instance

# Seconds after the timeout by which a process should have stopped by itself.
_GRACE = 5.0
_BETWEEN_LOOKS = 0.02
_LONGEST_MESSAGE = 500


@dataclass(frozen=True)
class Plan:
    """How instances are run.

    options: of `autodual verify`, for each. extensions: places of extensions. jobs: how many run at a time. threads: of
    each. folder: of the processes' files.
    """

    options: tuple[str, ...]
    extensions: tuple[str, ...]
    jobs: int
    threads: int
    folder: Path


@dataclass(frozen=True, eq=False)
class Answered:
    """What became of one instance.

    seconds: from the start of its process to its end; cpu_seconds: that all its threads worked, where the system says.
    document: what it wrote, if it wrote any. words: the first line that it printed, or what went wrong.
    """

    number: int
    status: str
    seconds: float
    cpu_seconds: float | None
    document: dict[str, Any] | None
    words: str


def answers(plan: Plan, instances: Sequence[tuple[int, Instance]]) -> Iterator[Answered]:
    """The outcomes of numbered instances, as they come; whoever stops early stops the processes, too."""
    waiting, running = list(reversed(instances)), list[_Running]()
    try:
        while waiting or running:
            while waiting and len(running) < plan.jobs:
                running.append(_Running(plan, *waiting.pop()))
            for one in list(running):
                if (found := one.outcome()) is not None:
                    running.remove(one)
                    yield found
            time.sleep(_BETWEEN_LOOKS)
    finally:
        for one in running:
            one.stop()


class _Running:
    """One process and its files."""

    def __init__(self, plan: Plan, number: int, instance: Instance) -> None:
        self._number, self._timeout = number, instance.timeout
        self._files = {kind: plan.folder / f"{number}.{kind}" for kind in ("json", "out", "err")}
        command = [sys.executable, "-m", "autodual_cli"]
        for place in plan.extensions:
            command += ["--extension", place]
        command += ["verify", str(instance.network_path), str(instance.goal_path)]
        command += ["--json", str(self._files["json"]), "--quiet", *plan.options]
        if instance.timeout is not None:
            command += ["--timeout", repr(instance.timeout)]
        environment = {**os.environ, "OMP_NUM_THREADS": str(plan.threads)}
        self._start = time.monotonic()
        with open(self._files["out"], "wb") as out, open(self._files["err"], "wb") as err:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment)

    def outcome(self) -> Answered | None:
        """What became of the instance, or None while it runs; a process far over its time is stopped."""
        seconds = time.monotonic() - self._start
        code, cpu = _ended(self._process)
        if code is None:
            if self._timeout is None or seconds < self._timeout + _GRACE:
                return None
            cpu = self.stop()
            return Answered(self._number, "timeout", seconds, cpu, None, "stopped from outside, long after its time")
        status, document, words = self._read(code)
        self._remove()
        return Answered(self._number, status, seconds, cpu, document, words)

    def stop(self) -> float | None:
        """End the process and remove its files; the CPU time that it took where the system says."""
        cpu = None
        if self._process.returncode is None:
            self._process.kill()
            _, cpu = _ended(self._process, wait=True)
        self._remove()
        return cpu

    def _read(self, code: int) -> tuple[str, dict[str, Any] | None, str]:
        printed = self._files["out"].read_text(encoding="utf-8", errors="replace").split("\n", 1)[0]
        if code != 0:
            lines = self._files["err"].read_text(encoding="utf-8", errors="replace").strip().splitlines()
            last = lines[-1].removeprefix("Error: ")[:_LONGEST_MESSAGE] if lines else ""
            return "error", None, last or f"the process ended with the status {code}"
        try:
            document = json.loads(self._files["json"].read_bytes())
        except FileNotFoundError:  # the time was up before the files were read
            return "timeout", None, printed
        return document["verdicts"][0]["status"], document, printed

    def _remove(self) -> None:
        for path in self._files.values():
            path.unlink(missing_ok=True)


def _ended(process: subprocess.Popen[bytes], *, wait: bool = False) -> tuple[int | None, float | None]:
    """The exit status of a process that has ended, and the CPU time that it took where the system says."""
    if not hasattr(os, "wait4"):
        return process.wait() if wait else process.poll(), None
    ended, status, usage = os.wait4(process.pid, 0 if wait else os.WNOHANG)
    if not ended:
        return None, None
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_utime + usage.ru_stime
