"""Writes hostile files and the honest files around them, and runs commands on them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy
import torch
from support.hostile.format import Format, Surroundings, Writer
from support.hostile.trial import Outcome

_FACTORY = """
from torch import nn


def network():
    return nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))
"""
PROPERTY = "\n".join(
    [f"(declare-const X_{i} Real)" for i in range(4)]
    + [f"(declare-const Y_{i} Real)" for i in range(3)]
    + [f"(assert (>= X_{i} 0.49))\n(assert (<= X_{i} 0.5))" for i in range(4)]
    + ["(assert (>= Y_0 Y_1))"]
).encode()


def surroundings(folder: Path) -> Surroundings:
    """Honest files in `folder`: a network of four features and three classes, data for it, a property, a factory."""
    from support.hostile.pickles import network

    folder.mkdir(parents=True, exist_ok=True)
    torch.save(network(), folder / "model.pt")
    x = numpy.linspace(0, 1, 12, dtype=numpy.float32).reshape(3, 4)
    numpy.savez(folder / "data.npz", x=x, y=numpy.array([0, 1, 2]))
    (folder / "factory.py").write_text(_FACTORY, encoding="utf-8")
    (folder / "property.vnnlib").write_bytes(PROPERTY)
    return Surroundings(folder / "model.pt", folder / "data.npz", folder)


def place(format: Format, writer: Writer, folder: Path) -> Path:
    """Write one hostile file, with its companions, into a folder of its own."""
    path = folder / format.file
    path.parent.mkdir(parents=True, exist_ok=True)
    for name, data in format.companions().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    writer(path)
    return path


def tried(commands: Iterable[list[str]], folder: Path) -> Iterator[Outcome]:
    """The outcome of each command, all started from `folder`; PyTorch is imported once for all of them."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    script = [sys.executable, str(Path(__file__).with_name("trial.py"))]
    with subprocess.Popen(
        script, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder, env=environment
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        for command in commands:
            process.stdin.write(json.dumps(command) + "\n")
            process.stdin.flush()
            yield Outcome(**json.loads(process.stdout.readline()))
        process.stdin.close()
