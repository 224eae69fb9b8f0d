"""The CPU time of whole `autodual certify` processes: of the README's command, of its start, and of importing torch.

    OMP_NUM_THREADS=1 python benchmarks/certify_command.py [--model MODEL] [--eps 0.1] [--repeats 3] [--threads 1]
        [--before PROGRAM]

In seconds, user and system, and in C, the time of a fixed workload that is timed before each round; medians. PROGRAM is
the `autodual` of another version, which takes turns with the present one.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from measure import EXAMPLE, calibration, save, say


def spent(command: Sequence[str], threads: int) -> tuple[float, float]:
    """CPU seconds and wall seconds of a process."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    given = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=given)
    wall, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, wall


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=EXAMPLE.with_name("mnist_0.1.pt"))
    parser.add_argument("--eps", default="0.1")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--before", help="the `autodual` program of another version")
    options = parser.parse_args()
    torch.set_num_threads(1)
    asked = ["certify", str(options.model), "--eps", options.eps, "--quiet"]
    ours = [sys.executable, "-m", "autodual_cli", *asked]
    works = {
        "1,000 images": ours,
        "1 image": [*ours, "--limit", "1"],
        "import torch": [sys.executable, "-c", "import torch"],
    }
    if options.before is not None:
        theirs = [options.before, *asked]
        works |= {"1,000 images, before": theirs, "1 image, before": [*theirs, "--limit", "1"]}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    units = []
    for _ in range(options.repeats):
        start = time.process_time()
        calibration()
        units.append(time.process_time() - start)
        for name, command in works.items():
            found[name].append(spent(command, options.threads))
    unit = statistics.median(units)
    costs = {name: [statistics.median(column) for column in zip(*rows)] for name, rows in found.items()}
    for name, (cpu, wall) in costs.items():
        say(f"{name}: {cpu:.2f} CPU s, {cpu / unit:.1f} C, {wall:.2f} s")
    rows = {name: {"cpu_seconds": cpu, "seconds": wall} for name, (cpu, wall) in costs.items()}
    save("certify_command", {"model": options.model.name, "threads": options.threads, "C": unit, "costs": rows})


if __name__ == "__main__":
    main()
