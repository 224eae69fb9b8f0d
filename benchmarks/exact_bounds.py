"""The cost of exact bounds, in units of a calibration workload timed in the same run.

    python benchmarks/exact_bounds.py [--repeats 10] [--model FILE …]

One thread, float32. The unit C is the smallest process-CPU time of ten forward and backward passes of a 4×4 convolution
with stride 2 (16 → 32 channels, 14×14, batch 256). A figure is the smallest time of the repeats, per sample, in C.
Memory is the peak of the process after bounding a large batch, and then a network of two 3×3 convolutions with 50,000
units each.
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path

import torch
from measure import EXAMPLE, calibration, peak, seconds
from torch import Tensor, nn

import autodual
from autodual.data import load_dataset


def costs(model: nn.Module, x: Tensor, y: Tensor, unit: float, repeats: int) -> dict[str, float]:
    """The cost per image, in C, of margins and of a training step."""
    dual, ball, found = autodual.compile_dual(model), autodual.LinfBall(0.1), {}
    for batch in (50, 10):
        for slopes in ("shared", "adaptive"):
            with torch.no_grad():
                spent = seconds(partial(dual.margins, x[:batch], y[:batch], ball, slopes=slopes), repeats)
            found[f"margins, {slopes} slopes, batch {batch}"] = spent / batch / unit

    def step() -> None:
        model.zero_grad()
        autodual.robust_loss(dual, x[:10], y[:10], ball).backward()

    found["training step, batch 10"] = seconds(step, repeats) / 10 / unit
    return found


def memory(model: nn.Module, x: Tensor, y: Tensor) -> dict[str, float]:
    """The peak memory of the process in MiB, before and after each piece of work."""
    found = {"before": peak()}
    with torch.no_grad():
        autodual.compile_dual(model).margins(x, y, autodual.LinfBall(0.1))
    found[f"margins of {len(x)} samples in one call"] = peak()
    side, channels = 56, 16  # 50,176 units
    wide = nn.Sequential(
        *(nn.Conv2d(1, channels, 3, padding=1), nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(channels * side * side, 10)),
    )
    with torch.no_grad():
        image = torch.rand(1, 1, side, side)
        dual = autodual.compile_dual(wide, memory_budget=1 << 30)
        dual.margins(image, dual.outputs(image).argmax(1), autodual.LinfBall(0.01))
    found["two 3×3 convolutions of 50,176 units, budget 1 GiB"] = peak()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--model", type=Path, default=EXAMPLE, help="an MNIST network (default: the example)")
    parser.add_argument("--samples", type=int, default=1000, help="samples of the memory measurement")
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    data, model = load_dataset("sample"), autodual.load_model(options.model)
    model = getattr(model, "module", model)
    x, y = data.x.float(), data.y
    unit = seconds(calibration, options.repeats)
    found: dict[str, object] = {"C in seconds": unit, "torch": torch.__version__, "model": options.model.name}
    more = -(-options.samples // len(x))
    large = x.repeat(more, 1, 1, 1)[: options.samples], y.repeat(more)[: options.samples]
    found["peak MiB"] = memory(model, *large)
    found["C an image"] = costs(model, x, y, unit, options.repeats)
    print(json.dumps(found, indent=2, ensure_ascii=False))  # noqa: T201


if __name__ == "__main__":
    main()
