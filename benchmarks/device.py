"""Everything there is to know of bounds on a GPU, in one run of at most nine minutes that writes one JSON file.

    python benchmarks/device.py [--device cuda] [--seconds 540] [--out FILE] [--small]

In turn: the tests that need CUDA; float32 bounds beside float64 ones, and what TF32 would cost; how often a call waits
for the device; times beside the network's own run; whether a call keeps to its memory budget; an epoch of interval
training; captured graphs. A part that fails says why and does not stop the others; parts for which no time is left are
named. The file is written after each part. Weights and images are random: what is measured does not depend on them
much.

--small takes tiny networks and few repeats; with --device cpu it checks the script itself.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from device_graphs import captured
from measure import RESULTS, machine, peak_of, say
from torch import Tensor, nn

import autodual
from autodual.train.losses import IntervalBound

BALL = autodual.LinfBall(0.02)
METHODS: dict[str, dict[str, Any]] = {
    "interval": {"inner": "interval", "last": "interval"},
    "interval inside": {"inner": "interval", "slopes": "adaptive"},
    "shared": {"slopes": "shared"},
    "adaptive": {"slopes": "adaptive"},
}
ROOT = Path(__file__).parents[1]
#: Files with tests that run on a GPU where there is one.
TESTS = [
    "tests/bounds/test_bounds_projection.py",
    "tests/estimators/test_estimators.py",
    "tests/network/test_network_live.py",
    "tests/network/test_network_memory.py",
]
MIB = 2**20


@dataclass(frozen=True)
class Setting:
    """Where and how much to measure. begun: when; seconds: the time for all parts together."""

    device: torch.device
    small: bool
    begun: float
    seconds: float

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self.begun + self.seconds - time.monotonic()

    def finish(self) -> None:
        """Wait for the device."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


# --- networks ----------------------------------------------------------------------------------------------------


def perceptron(depth: int, width: int, inputs: int = 784) -> nn.Sequential:
    """A fully connected network of `depth` hidden layers."""
    sizes = [inputs, *[width] * depth]
    layers = [part for pair in pairwise(sizes) for part in (nn.Linear(*pair), nn.ReLU())]
    return nn.Sequential(*layers, nn.Linear(width, 10))


def convolutional(channels: Sequence[int], hidden: int, pixels: int, *, norms: bool = False) -> nn.Sequential:
    """Convolutions of 3 × 3, every second one with stride 2, and two fully connected layers."""
    layers: list[nn.Module] = []
    for place, pair in enumerate(zip((1, *channels), channels)):
        layers += [nn.Conv2d(*pair, 3, stride=1 + place % 2, padding=1)]
        layers += [nn.BatchNorm2d(pair[1])] if norms else []
        layers += [nn.ReLU()]
        pixels = (pixels + place % 2) // (1 + place % 2)
    dense = [nn.Flatten(), nn.Linear(channels[-1] * pixels**2, hidden), *([nn.BatchNorm1d(hidden)] if norms else [])]
    return nn.Sequential(*layers, *dense, nn.ReLU(), nn.Linear(hidden, 10))


def networks(small: bool) -> dict[str, tuple[nn.Sequential, tuple[int, ...]]]:
    """The networks to measure, with the shape of a sample."""
    torch.manual_seed(0)
    if small:
        return {"two convolutions": (convolutional((2, 3), 8, 6, norms=True), (1, 6, 6))}
    return {
        "6 x 100": (perceptron(6, 100), (784,)),
        "32 x 100": (perceptron(32, 100), (784,)),
        "4 x 1024": (perceptron(4, 1024), (784,)),
        "two convolutions": (convolutional((16, 32), 100, 28), (1, 28, 28)),
        "five convolutions": (convolutional((64, 64, 128, 128, 128), 512, 28, norms=True), (1, 28, 28)),
    }


def placed(
    setting: Setting, model: nn.Module, shape: tuple[int, ...], count: int, **options: Any
) -> tuple[Any, Tensor, Tensor]:
    """The dual network, compiled with options, samples and an objective on the device."""
    model = model.eval().to(setting.device)
    x = torch.rand(count, *shape, device=setting.device)
    return autodual.compile_dual(model, x[:1], **options), x, torch.eye(10, device=setting.device)


# --- parts -------------------------------------------------------------------------------------------------------


def tests(setting: Setting) -> dict[str, Any]:
    """The tests that need CUDA."""
    if setting.device.type != "cuda":
        return {"skipped": "no CUDA device was asked for"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", *TESTS]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=setting.left / 2, check=False)
    return {"passed": done.returncode == 0, "says": done.stdout.strip().splitlines()[-1:]}


def precision(setting: Setting) -> dict[str, Any]:
    """How far float32 bounds are from float64 ones, relative to the largest; what is `sound` must be true."""
    found = {}
    for name, (model, shape) in networks(setting.small).items():
        dual, x, rows = placed(setting, model, shape, 4)
        with torch.no_grad():
            exact = dual.lower_bounds(x.double(), BALL, rows, slopes="adaptive")
            plain = dual.lower_bounds(x, BALL, rows, slopes="adaptive")
            rigorous = dual.lower_bounds(x, BALL, rows, slopes="adaptive", rigorous=True)
            with reduced_precision():
                reduced = dual.lower_bounds(x, BALL, rows, slopes="adaptive")
        size = float(exact.abs().max())
        found[name] = {
            "float32": float((plain - exact).abs().max()) / size,
            "charged": float((exact - rigorous).max()) / size,
            "sound": bool((rigorous <= exact).all()),
            "TF32": float((reduced - exact).abs().max()) / size,
        }
    return found


@contextmanager
def reduced_precision() -> Iterator[None]:
    """Let products use TF32, as the engine never does."""
    backends = (torch.backends.cuda.matmul, torch.backends.cudnn.conv)  # type: ignore[attr-defined]
    before = [backend.fp32_precision for backend in backends]
    try:
        for backend in backends:
            backend.fp32_precision = "tf32"
        with mock.patch("autodual.network.call.plain_arithmetic", lambda *_: nullcontext()):
            yield
    finally:
        for backend, value in zip(backends, before):
            backend.fp32_precision = value


def waits(setting: Setting) -> dict[str, Any]:
    """How often calls wait for the device, as torch sees it."""
    if setting.device.type != "cuda":
        return {"skipped": "only CUDA counts them"}
    model, shape = next(iter(networks(setting.small).values()))
    dual, x, rows = placed(setting, model, shape, 8)
    labels = model(x).argmax(1)
    calls = {
        name: (lambda options=options: dual.lower_bounds(x, BALL, rows, **options)) for name, options in METHODS.items()
    }
    calls["certify"] = lambda: autodual.certify(dual, x, BALL, labels)
    found = {}
    for name, call in calls.items():
        call()
        with warnings.catch_warnings(record=True) as seen, torch.no_grad():
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                call()
            finally:
                torch.cuda.set_sync_debug_mode("default")
        found[name] = sum("synchroniz" in str(one.message) for one in seen)
    return found


def times(setting: Setting) -> dict[str, Any]:
    """Median milliseconds of calls, by network, batch and method, and of the network's own run."""
    found: dict[str, Any] = {}
    batches, repeats = ((2,), 1) if setting.small else ((1, 10, 50), 9)
    for name, (model, shape) in networks(setting.small).items():
        for batch in batches:
            if setting.left < 0.3 * setting.seconds:  # the rest is for what comes after
                found[f"{name}, batch {batch}"] = {"skipped": "no time left"}
                continue
            dual, x, rows = placed(setting, model, shape, batch)
            calls: dict[str, Callable[[], object]] = {"forward": lambda: model(x)}  # noqa: B023
            for method, options in METHODS.items():
                calls[method] = lambda options=options: dual.lower_bounds(x, BALL, rows, **options)  # noqa: B023
            with torch.no_grad():
                found[f"{name}, batch {batch}"] = {
                    key: milliseconds(setting, call, repeats) for key, call in calls.items()
                }
    return found


def graphs(setting: Setting) -> dict[str, Any]:
    """Captured graphs of the first network, which on a GPU are compiled into CUDA graphs too."""
    model, shape = next(iter(networks(setting.small).values()))
    _, x, _ = placed(setting, model, shape, 8)
    repeats = 1 if setting.small else 9
    return captured(model, x, lambda call: milliseconds(setting, call, repeats), setting.device.type == "cuda")


def milliseconds(setting: Setting, call: Callable[[], object], repeats: int) -> float:
    """The median time of a call, after one that is not counted."""
    taken = []
    for _ in range(1 + repeats):
        start = time.perf_counter()
        call()
        setting.finish()
        taken.append(1e3 * (time.perf_counter() - start))
        if sum(taken) > 2e3 and len(taken) > 1:
            break
    return round(statistics.median(taken[1:]), 4)


def memory(setting: Setting) -> dict[str, Any]:
    """Peaks of a call and of a training step beside the budget, in MiB; at most 1.2 times as much should be used."""
    budget = 64 if setting.small else 1024
    name, (model, shape) = list(networks(setting.small).items())[-1]
    dual, x, rows = placed(setting, model, shape, 8 if setting.small else 200, memory_budget=budget * MIB)

    def bounds() -> None:
        with torch.no_grad():
            dual.lower_bounds(x, BALL, rows, slopes="adaptive")

    def step() -> None:
        dual.lower_bounds(x, BALL, rows, **METHODS["interval"]).sum().backward()

    peaks = {"bounds": peak(setting, bounds), "training step": peak(setting, step)}
    return {"network": name, "budget": budget, **peaks, "kept": max(peaks.values()) <= 1.2 * budget}


def peak(setting: Setting, work: Callable[[], None]) -> float:
    """MiB that a call takes beyond what was there before."""
    if setting.device.type != "cuda":
        return round(peak_of(work), 1)
    torch.cuda.reset_peak_memory_stats(setting.device)
    before = torch.cuda.memory_allocated(setting.device)
    work()
    return round((torch.cuda.max_memory_allocated(setting.device) - before) / MIB, 1)


def epoch(setting: Setting) -> dict[str, Any]:
    """Seconds of an epoch of interval training on as many images as MNIST has, from as many steps as there is time."""
    model, shape = list(networks(setting.small).values())[-1]
    images, batch = (16, 8) if setting.small else (60_000, 256)
    dual, x, _ = placed(setting, model, shape, batch)
    labels, loss = torch.arange(batch, device=setting.device) % 10, IntervalBound()
    optimiser, dual = torch.optim.Adam(model.parameters()), dual.train()
    whole, done, start = -(-images // batch), 0, 0.0
    while done <= whole and (done < 2 or setting.left > 10):
        if done == 1:  # the first step is not counted
            setting.finish()
            start = time.perf_counter()
        optimiser.zero_grad()
        loss(dual, x, labels, BALL).backward()
        optimiser.step()
        done += 1
    setting.finish()
    seconds = (time.perf_counter() - start) / (done - 1) * whole
    return {"batch": batch, "steps measured": done - 1, "steps an epoch": whole, "seconds an epoch": round(seconds, 3)}


PARTS: dict[str, Callable[[Setting], dict[str, Any]]] = {
    "tests": tests,
    "precision": precision,
    "waits": waits,
    "memory": memory,
    "times": times,
    "epoch": epoch,
    "graphs": graphs,
}


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--seconds", type=float, default=540, help="for all parts together")
    parser.add_argument("--out", type=Path, default=RESULTS / "device.json")
    parser.add_argument("--small", action="store_true", help="tiny networks, few repeats")
    options = parser.parse_args(arguments)
    setting = Setting(torch.device(options.device), options.small, time.monotonic(), options.seconds)
    named = torch.cuda.get_device_name(setting.device) if setting.device.type == "cuda" else "cpu"
    command = "python benchmarks/device.py" + (" --small" if options.small else "")
    found: dict[str, Any] = {"command": command, "device": named, **machine()}
    for name, part in PARTS.items():
        begun = time.monotonic()
        if setting.left <= 0:
            found[name] = {"skipped": "no time left"}
        else:
            try:
                found[name] = part(setting)
            except Exception as error:
                found[name] = {"failed": f"{type(error).__name__}: {str(error)[:500]}"}
        say(f"{name} ({time.monotonic() - begun:.1f} s): {json.dumps(found[name])}")
        options.out.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return found


if __name__ == "__main__":
    main()
