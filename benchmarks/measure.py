"""Shared code of the benchmarks: the unit of time, the fastest of several runs, memory peaks, and result files."""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as functional
from autodual_cli.output.provenance import source_sha256
from torch import Tensor, nn

import autodual
from autodual.data import load_dataset

RESULTS = Path(__file__).parents[1] / "docs" / "results"
EXAMPLE = Path(__file__).parents[1] / "examples" / "mnist_small.pt"


def calibration() -> None:
    """The workload whose time is C: ten forward and backward passes of a 4×4 convolution with stride 2."""
    x = torch.randn(256, 16, 14, 14, requires_grad=True)
    w = torch.randn(32, 16, 4, 4, requires_grad=True)
    for _ in range(10):
        functional.conv2d(x, w, stride=2, padding=1).square().sum().backward()


def seconds(work: Callable[[], object], repeats: int, *, warm: bool = True) -> float:
    """The smallest process-CPU time of several runs; warm: with a warm-up run before them."""
    if warm:
        work()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def mnist_options(document: str | None, *, batch: int = 10, repeats: int = 5) -> argparse.Namespace:
    """The network, the batch size and the number of runs, from the command line."""
    parser = argparse.ArgumentParser(description=document, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=EXAMPLE, help="an MNIST network (default: the example)")
    parser.add_argument("--batch", type=int, default=batch)
    parser.add_argument("--repeats", type=int, default=repeats)
    return parser.parse_args()


def mnist(options: argparse.Namespace) -> tuple[nn.Module, Tensor, Tensor]:
    """The network, images and labels of the options, in float32; also sets one thread."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    loaded, data = autodual.load_model(options.model), load_dataset("sample")
    return getattr(loaded, "module", loaded), data.x.float()[: options.batch], data.y[: options.batch]


def peak() -> float:
    """The largest resident size of the process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def peak_of(work: Callable[[], object]) -> float:
    """The rise of the process's resident size while `work` runs, in MiB (Linux only)."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # resets the peak
    before = _status("VmRSS")
    work()
    return _status("VmHWM") - before


def _status(field: str) -> float:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    raise OSError(f"no {field} in /proc/self/status")


# glibc returns blocks above 32 MiB to the system and gets them back page fault by page fault, which slows down large
# tensors. So times are measured with an allocator that keeps its memory; peaks are not.
KEEPING = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "1000000000000",
    "MALLOC_TOP_PAD_": "67108864",
}


def in_child(script: str, point: Mapping[str, Any], timeout: float, *, keeping: bool = False) -> dict[str, Any]:
    """Run `script --point JSON`, which prints JSON, in a process of its own, so that memory peaks do not mix.

    A point that runs out of time or memory has a key "failed". keeping: use an allocator that keeps its memory.
    """
    environment = {**os.environ, **KEEPING} if keeping else None
    command = [sys.executable, script, "--point", json.dumps(point)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False, env=environment)
    except subprocess.TimeoutExpired:
        return {**point, "failed": f"not finished in {timeout:.0f} s"}
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        return {**point, "failed": reason[:200]}
    return {**point, **json.loads(done.stdout.strip().splitlines()[-1])}


def machine() -> dict[str, str]:
    """The machine and the source of the figures; a version does not identify the source between releases."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor(),
        "torch": torch.__version__,
        "source_sha256": source_sha256(),
    }


def save(name: str, found: Mapping[str, Any]) -> Path:
    """Write results to docs/results, with the command and the machine that made them."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    # Leave absolute paths, which belong to one machine, out of the command.
    command = " ".join(["python", *(_unplaced(Path(word)) if Path(word).is_absolute() else word for word in sys.argv)])
    document = {"command": command, **machine(), **found}
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def _unplaced(path: Path) -> str:
    return f"DIR/{path.name}" if path.is_file() else "DIR"


def say(*words: object) -> None:
    """Print at once, also into a pipe."""
    print(*words, flush=True)  # noqa: T201
