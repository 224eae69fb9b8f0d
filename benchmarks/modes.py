"""Modes of exact bounds compared with each other and with random projections: one network, one batch, one run.

    python benchmarks/modes.py [--model FILE] [--batch 10] [--repeats 7]

Margins without gradients and a training step, one thread, float32, l∞ 0.1 unclipped, in C per image. All exact modes
give the same bound; the largest difference from the first mode's margins is printed beside the costs.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from measure import calibration, mnist, mnist_options, save, say, seconds

import autodual
from autodual.passes import ChooseExecution, Pass, RandomProjection, default_pipeline

WAYS: dict[str, dict[str, Any]] = {
    "auto": {},
    "pull": {"mode": "pull"},
    "pull, no windows": {"mode": "pull", "windows": False},
    "pull, nothing skipped": {"mode": "pull", "skip_decided": False},
    "push": {"mode": "push"},
}


def executed(**options: Any) -> list[Pass]:
    return [ChooseExecution(**options) if isinstance(step, ChooseExecution) else step for step in default_pipeline()]


def pipelines() -> dict[str, list[Pass]]:
    found = {name: executed(**options) for name, options in WAYS.items()}
    for columns in (10, 50):
        found[f"{columns} projections"] = [*default_pipeline(), RandomProjection(columns, seed=0)]
    return found


def main() -> None:
    options = mnist_options(__doc__, repeats=7)
    model, x, y = mnist(options)
    ball = autodual.LinfBall(0.1)
    found, first = [], None
    for name, steps in pipelines().items():
        dual = autodual.compile_dual(model, x, passes=steps)

        def step(dual: autodual.DualNetwork = dual) -> None:
            model.zero_grad()
            autodual.robust_loss(dual, x, y, ball).backward()

        unit = seconds(calibration, 5)
        with torch.no_grad():
            margins = dual.margins(x, y, ball)
            bound = seconds(partial(dual.margins, x, y, ball), options.repeats)
        trained = seconds(step, options.repeats)
        first = margins if first is None else first
        record = {
            "way": name,
            "margins": bound / unit / options.batch,
            "training step": trained / unit / options.batch,
            "difference": float((margins - first).abs().max()),
        }
        found.append(record)
        say(record)
    save("modes", {"batch": options.batch, "model": options.model.name, "ways": found})


if __name__ == "__main__":
    main()
