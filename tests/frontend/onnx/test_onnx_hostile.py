"""Files that claim more than they hold are refused in one sentence, or load, in little time and memory."""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import autodual
from autodual.errors import AutodualError
from autodual.frontend.onnx import load_onnx_bytes

from .models import onnx  # noqa: F401 - skips this file where onnx is not installed

from support import hostile_onnx as hostile  # isort: skip

SECONDS = 10
BYTES = 2**30
SLOW = {name for name in hostile.CASES if str(1 << 28) in name} | {"empty attributes", "empty tensors"}


def outcome(path: Path) -> str:
    """'loaded', or the message of the package's error; other errors are raised."""
    try:
        autodual.load_onnx(path)
    except AutodualError as error:
        return str(error)
    return "loaded"


def in_child(work: Callable[[], Iterator[str]]) -> list[str]:
    """The lines that `work` yields in a child process, which an alarm ends if one takes too long."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            for line in work():
                os.write(writer, f"{line}\n".encode())
                signal.alarm(SECONDS)
        except BaseException as error:
            os.write(writer, f"{type(error).__name__}: {error}".encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as lines:
        found = lines.read().splitlines()
    os.waitpid(child, 0)
    return found


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def loads(names: list[str], folder: Path) -> Iterator[str]:
    """For each file the outcome, and the seconds and bytes that loading took."""
    autodual.load_onnx(honest(folder))
    for number, name in enumerate(names):
        place = folder / str(number) / "in"
        place.mkdir(parents=True)
        hostile.CASES[name](place / "net.onnx")
        yield f"writing {name}"
        before, start = max(resident(), 0), time.monotonic()
        said = outcome(place / "net.onnx")
        lines = said.splitlines()
        yield f"{name}\t{time.monotonic() - start:.2f}\t{max(peak() - before, 0)}\t{len(lines)}\t{lines[0][:300]}"


def honest(folder: Path) -> Path:
    path = folder / "honest.onnx"
    path.write_bytes(hostile.model([hostile.node("Relu", ["x"])]).SerializeToString())
    return path


def check(names: list[str], folder: Path) -> None:
    lines = in_child(lambda: loads(names, folder))
    done = [line.split("\t") for line in lines if not line.startswith("writing ")]
    assert [line[0] for line in done] == names, f"ended at: {lines[-1]}"
    for name, seconds, taken, _, said in done:
        assert float(seconds) < SECONDS and int(taken) < BYTES, (name, seconds, taken)
        assert len(said) < 1000 and "please report it" not in said, (name, said)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_hostile_files_are_refused_or_load_within_the_budget(tmp_path: Path) -> None:
    check([name for name in hostile.CASES if name not in SLOW], tmp_path)


@pytest.mark.slow
def test_more_hostile_files(tmp_path: Path) -> None:
    check(sorted(SLOW), tmp_path)


def test_damaged_bytes_are_refused_or_load() -> None:
    for seed in range(150):
        try:
            load_onnx_bytes("net.onnx", hostile.damaged(seed), check=seed % 10 == 0)
        except AutodualError:
            continue
