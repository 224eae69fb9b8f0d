"""Measures the constants of `autodual/measured.py` on this machine and prints them beside the values in force.

    OMP_NUM_THREADS=1 python benchmarks/measure_constants.py [--quick] [NAME ...]

A time constant is tried at several values on a network whose bounds depend on it; "here" is the fastest value, and
"cost" the slowdown of the value in force. A memory constant is a count of tensors by torch's profiler; the value in
force should be at least the count "here". Counts are in float32 on the CPU.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

import autodual
from autodual.estimators import CauchyMedian
from autodual.measured import measured
from autodual.passes import ChooseExecution, RandomProjection, default_pipeline

_HERE = Path(__file__).resolve()
BALL = autodual.LinfBall(0.05)


@dataclass(frozen=True)
class Found:
    """A constant: its value in force, the value measured here, and the slowdown of the former (None for memory)."""

    name: str
    in_force: float
    here: float
    cost: float | None = None


@dataclass(frozen=True)
class Size:
    """The size of the networks, and the number of timings."""

    pixels: int
    width: int
    samples: int
    repeats: int


FULL, QUICK = Size(28, 512, 16, 5), Size(12, 128, 4, 1)


def main(names: Sequence[str] = (), size: Size = FULL) -> Iterator[Found]:
    """Measure the constants of these names, or all of them."""
    torch.manual_seed(0)
    for name in names or [*TIMES, *MEMORY]:
        yield swept(name, size) if name in TIMES else Found(name, getattr(measured, name), MEMORY[name](size))


# --- time ------------------------------------------------------------------------------------------------------------


def convolutional(size: Size, channels: int = 1, slopes: str = "adaptive", **options: Any) -> Callable[[], Any]:
    """Bounds of a small convolutional network, in backward mode with windows unless passes say otherwise."""
    model = nn.Sequential(
        nn.Conv2d(channels, 8, 4, 2, 1), nn.ReLU(), nn.Conv2d(8, 16, 4, 2, 1), nn.ReLU(), nn.Flatten(),
        nn.Linear(16 * (size.pixels // 4) ** 2, 32), nn.ReLU(), nn.Linear(32, 10),
    )  # fmt: skip
    x = torch.rand(size.samples, channels, size.pixels, size.pixels)
    return bounded(model, x, slopes=slopes, **options)


def projected(size: Size) -> Callable[[], Any]:
    """Bounds of the same network from random projections."""
    return convolutional(size, slopes="shared", passes=[*default_pipeline(), RandomProjection(50, seed=0)])


def perceptron(size: Size, **options: Any) -> Callable[[], Any]:
    """Bounds of a fully connected network."""
    layers = [nn.Linear(32, size.width), nn.ReLU(), nn.Linear(size.width, size.width), nn.ReLU()]
    return bounded(nn.Sequential(*layers, nn.Linear(size.width, 10)), torch.rand(size.samples, 32), **options)


def bounded(model: nn.Module, x: Tensor, passes: list[Any] | None = None, **options: Any) -> Callable[[], Any]:
    """A call that computes the margins of a network, which is compiled beforehand."""
    dual, labels = autodual.compile_dual(model, x[:1], passes=passes), torch.arange(len(x)) % 10
    return lambda: dual.margins(x, labels, BALL, **options)


def median(size: Size) -> Callable[[], Any]:
    """A call that computes norms from random projections, by medians."""
    estimator, products = CauchyMedian(50), torch.randn(50, size.samples, size.width * 16)
    return lambda: estimator.norm(products)


# The values to try, as multiples of the value in force, and the workload.
TIMES: dict[str, tuple[Sequence[float], Callable[[Size], Callable[[], Any]]]] = {
    "ragged_window_cost": ((0.5, 1, 2, 4), convolutional),
    "ragged_row_cost": ((0.5, 1, 2, 4), perceptron),
    "factored_rows_gain": ((0.25, 0.5, 1, 2), convolutional),
    "early_exit_work": ((0, 0.01, 0.1, 1), partial(perceptron, slopes="adaptive")),
    "zero_columns_work": ((0, 0.25, 1, 4, 16), partial(perceptron, slopes="adaptive")),
    "another_layer_work": ((0, 0.25, 1, 4, 16), partial(perceptron, slopes="adaptive")),
    "another_pull_work": ((0, 0.25, 1, 4, 16), partial(perceptron, slopes="adaptive")),
    "push_cost": ((0.25, 0.5, 1, 2, 4), perceptron),
    "fold_channels": ((0, 0.5, 1, 2, 4), partial(convolutional, channels=3)),
    "patch_matrix_waste": ((0, 0.5, 1, 2, 4), convolutional),
    "patch_matrix_bands": ((0.125, 0.5, 1, 2), convolutional),
    "cache_bytes": ((0.25, 0.5, 1, 2, 8), convolutional),
    "selection_numbers": ((0.25, 0.5, 1, 2, 8), median),
    "weighted_numbers": ((0.25, 0.5, 1, 2, 8), projected),
}


def swept(name: str, size: Size) -> Found:
    """The fastest of several values, timed in turn so that a busy machine affects all alike."""
    multiples, workload = TIMES[name]
    in_force = getattr(measured, name)
    values = [type(in_force)(in_force * multiple) for multiple in multiples]
    work = workload(size)
    best = dict.fromkeys(values, float("inf"))
    with torch.no_grad():
        work()
        for _ in range(size.repeats):
            for value in values:
                with instead(name, value):
                    start = time.perf_counter()
                    work()
                    best[value] = min(best[value], time.perf_counter() - start)
    here = min(best, key=lambda value: best[value])
    return Found(name, in_force, here, best[in_force] / best[here] - 1)


@contextmanager
def instead(name: str, value: float) -> Iterator[None]:
    """Sets a constant to another value temporarily."""
    before = getattr(measured, name)
    setattr(measured, name, value)
    try:
        yield
    finally:
        setattr(measured, name, before)


# --- memory ----------------------------------------------------------------------------------------------------------


def allocated(work: Callable[[], Any]) -> tuple[int, int]:
    """The peak bytes of tensors during a call, and the bytes that its result and its graph keep."""
    work()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        result = work()  # still alive when the profiler stops
    events = [event for event in record.profiler.kineto_results.events() if event.name() == "[memory]"]
    total, most = 0, 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        total += event.nbytes()
        most = max(most, total)
    del result
    return most, total


def deep(size: Size, depth: int = 3) -> tuple[nn.Module, int, int]:
    """A fully connected network, the size of its largest node, and the sum of the sizes of all its nodes."""
    width = 4 * size.width
    layers = [layer for _ in range(depth) for layer in (nn.Linear(width, width), nn.ReLU())]
    return nn.Sequential(*layers, nn.Linear(width, 10)), width, (2 * depth + 1) * width + 10


def of_rows(size: Size, gradients: bool) -> float:
    """The number of tensors of a row's size for each row of the objective, over interval bounds."""
    model, largest, total = deep(size)
    samples, rows = 2, 64
    dual, objective = autodual.compile_dual(model, torch.rand(1, largest)), torch.randn(samples, rows, 10)
    x = torch.rand(samples, largest)
    with torch.set_grad_enabled(gradients):
        most, kept = allocated(lambda: dual.lower_bounds(x, BALL, objective, inner="interval"))
    counted = samples * rows * 4
    return kept / (counted * total) if gradients else most / (counted * largest)


def of_samples(size: Size, gradients: bool, last: str) -> float:
    """The number of tensors of the size of all nodes of a sample, with so many samples that rows hardly count."""
    model, largest, total = deep(size)
    x = torch.rand(32, largest)
    dual, objective = autodual.compile_dual(model, x[:1]), torch.randn(1, 10)
    with torch.set_grad_enabled(gradients):
        most, kept = allocated(lambda: dual.lower_bounds(x, BALL, objective, inner="interval", last=last))
    return (kept if gradients and last == "interval" else most) / (len(x) * total * 4)


def of_pushed(size: Size) -> float:
    """The number of tensors as large as all columns of all nodes: columns of the inputs and of the undecided units."""
    inputs, width = 32, 4 * size.width
    model = nn.Sequential(nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10))
    x = torch.rand(1, inputs)
    pushing = ChooseExecution(mode="push")
    passes = [pushing if isinstance(step, ChooseExecution) else step for step in default_pipeline()]
    dual = autodual.compile_dual(model, x, passes=passes)
    first = model[0]
    radius = BALL.radius * first.weight.abs().sum(1)
    undecided = int((first(x)[0].abs() < radius).sum())
    columns = inputs * width + (inputs + undecided) * width * 2  # first layer, its activation, and the second layer
    with torch.no_grad():
        most, _ = allocated(lambda: dual.lower_bounds(x, BALL, torch.eye(10)))
    return most / (columns * 4)


def of_sketches(size: Size, gradients: bool) -> float:
    """The number of tensors as large as the columns of a sketch, at the largest node or at all nodes."""
    model, largest, total = deep(size)
    samples, columns = 2, 128
    x, passes = torch.rand(samples, largest), [*default_pipeline(), RandomProjection(columns, seed=0)]
    dual = autodual.compile_dual(model, x[:1], passes=passes)
    with torch.set_grad_enabled(gradients):
        most, kept = allocated(lambda: dual.lower_bounds(x, BALL, torch.eye(10)))
    counted = samples * columns * 4
    return kept / (counted * total) if gradients else most / (counted * largest)


_PROCESS = """
import resource, torch
from benchmarks_constants import convolutional, allocated, {size}
work = convolutional({size})
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
work()
print(1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) - allocated(work)[0])
"""


def of_process(size: Size) -> float:
    """The bytes, besides tensors, by which a new process grows when it computes its first bounds."""
    program = _PROCESS.format(size="QUICK" if size is QUICK else "FULL").replace("benchmarks_constants", _HERE.stem)
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=_HERE.parent)
    return max(0.0, float(run.stdout))


MEMORY: dict[str, Callable[[Size], float]] = {
    "row_tensors": partial(of_rows, gradients=False),
    "row_tensors_kept": partial(of_rows, gradients=True),
    "pushed_tensors": of_pushed,
    "sketch_tensors": partial(of_sketches, gradients=False),
    "sketch_tensors_kept": partial(of_sketches, gradients=True),
    "sample_tensors": partial(of_samples, gradients=False, last="dual"),
    "sample_tensors_kept": partial(of_samples, gradients=True, last="dual"),
    "interval_tensors": partial(of_samples, gradients=False, last="interval"),
    "interval_tensors_kept": partial(of_samples, gradients=True, last="interval"),
    "process_bytes": of_process,
}


@click.command()
@click.option("--quick", is_flag=True, help="Small networks, each timed once: half a minute in all.")
@click.argument("names", nargs=-1, type=click.Choice([*TIMES, *MEMORY]))
def cli(quick: bool, names: tuple[str, ...]) -> None:
    """Measure the constants of autodual/measured.py, or those that are named, on this machine."""
    click.echo(f"{'name':<24}{'in force':>14}{'here':>14}{'cost':>10}")
    for found in main(names, QUICK if quick else FULL):
        cost = "" if found.cost is None else f"{found.cost:.0%}"
        click.echo(f"{found.name:<24}{found.in_force:>14,.6g}{found.here:>14,.6g}{cost:>10}")


if __name__ == "__main__":
    cli()
