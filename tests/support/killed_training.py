"""Run as a script: trains in child processes that are killed at random moments, and prints the number of kills.

python killed_training.py FOLDER KILLS. Children are forked, so that torch is loaded once; the parent computes nothing.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.tiny_training import finish, tiny_training

#: Enough steps for twenty kills, since at least one step is saved between two kills.
EPOCHS = 8


def child(folder: Path) -> int:
    """Fork a process that continues the run from its last checkpoint, or starts it; returns its id."""
    process = os.fork()
    if process:
        return process
    torch.set_num_threads(1)
    finish(tiny_training(folder, resume=(folder / "checkpoint.pt").exists(), seconds=0.0, epochs=EPOCHS))
    os._exit(0)


def main(folder: Path, kills: int) -> None:
    chance, killed = random.Random(0), 0
    while killed < kills and not (folder / "done").exists():
        process = child(folder)
        before = _step(folder)
        # Wait for one save, so that the run ends some day; then kill at a random moment, possibly during a save.
        while _step(folder) == before and os.waitpid(process, os.WNOHANG) == (0, 0):
            time.sleep(0.002)
        time.sleep(chance.random() * 0.05)
        try:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            killed += 1
        except (ProcessLookupError, ChildProcessError):
            break  # it had finished
    print(killed)  # noqa: T201


def _step(folder: Path) -> float:
    """When the checkpoint was last written."""
    try:
        return (folder / "checkpoint.pt").stat().st_mtime_ns
    except FileNotFoundError:
        return 0


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
