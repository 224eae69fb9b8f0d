"""Draws the results in docs/results/ as docs/images/*.svg, and prints the slopes of the scaling sweeps.

python benchmarks/plots.py
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from pathlib import Path
from typing import Any

import matplotlib
import numpy
from measure import RESULTS, say

matplotlib.use("Agg")
from matplotlib import pyplot

IMAGES = RESULTS.parent / "images"
TITLES = {
    "one-layer": "One 3×3 convolution of ever more filters (Figure 3.20)",
    "two-layers": "Sixteen filters, then ever more",
    "width": "The networks wide-128:K",
    "depth": "The thesis' deep networks",
}
# Slopes are fitted to points with at least this many hidden units.
FIRST_HIDDEN = 50_000


def results(name: str) -> dict[str, Any] | None:
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def save(figure: pyplot.Figure, name: str) -> Path:
    """Save a figure without a date, so that the same results give the same file."""
    path = IMAGES / f"{name}.svg"
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
    return path


def curves(points: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The points that succeeded, grouped by way of bounding and perturbation set."""
    found = defaultdict(list)
    for point in points:
        if "failed" not in point:
            found[f"{point['way']}, {point['set']}"].append(point)
    return found


def slope(points: list[dict[str, Any]], quantity: str) -> float:
    """The slope of log(quantity) against log(hidden units), by least squares over the points with many units."""
    chosen = [point for point in points if point["hidden"] >= FIRST_HIDDEN and point[quantity] > 0]
    if len(chosen) < 2:
        return math.nan
    # Times in units of C, measured in the same minute.
    values = [point["seconds"] / point["C"] if quantity == "seconds" else point[quantity] for point in chosen]
    return float(numpy.polyfit(numpy.log([point["hidden"] for point in chosen]), numpy.log(values), 1)[0])


def scaling() -> None:
    for kind, title in TITLES.items():
        found = results(f"scaling_{kind}")
        if found is None:
            continue
        figure, axes = pyplot.subplots(1, 2, figsize=(11, 4))
        for label, points in curves(found["points"]).items():
            hidden = [point["hidden"] for point in points]
            axes[0].loglog(hidden, [point["seconds"] / point["C"] for point in points], marker="o", label=label)
            axes[1].loglog(hidden, [max(point["MiB"], 1) for point in points], marker="o", label=label)
            say(kind, label, *(f"slope of {key}: {slope(points, key):.2f}" for key in ("seconds", "MiB")))
        for axis, words in zip(axes, ("time of a training step, C", "peak of memory, MiB")):
            axis.set(xlabel="hidden units", ylabel=words)
            axis.grid(alpha=0.3)
        axes[0].legend(fontsize="small")
        figure.suptitle(title)
        save(figure, f"scaling_{kind}")


def errors() -> None:
    found = results("projection_errors")
    if found is None:
        return
    figure, axes = pyplot.subplots(1, 3, figsize=(15, 4))
    for axis, words, one in zip(axes, ("random", "robustly trained"), (found["random"], found)):
        for columns, histogram in one["histograms"].items():
            edges = numpy.linspace(histogram["from"], histogram["to"], len(histogram["counts"]) + 1)
            counts = numpy.array(histogram["counts"])
            axis.stairs(counts / counts.sum(), edges, label=f"{columns} columns", fill=True, alpha=0.5)
        axis.set(xlabel="relative error of a unit's width", ylabel="share of units", title=f"Figure 3.19, {words}")
        axis.legend()
        columns, rms = [int(key) for key in one["rms"]], list(one["rms"].values())
        axes[2].loglog(columns, rms, marker="o", label=f"root mean square error, {words}")
    axes[2].loglog(columns, [rms[-1] * (columns[-1] / r) ** 0.5 for r in columns], "--", label="∝ 1/√columns")
    axes[2].set(xlabel="columns", ylabel="relative error")
    axes[2].legend()
    save(figure, "projection_errors")


def gradients() -> None:
    found = results("projection_gradients")
    if found is None:
        return
    figure, axis = pyplot.subplots(figsize=(6, 4))
    labels = list(found["cosines"])
    axis.boxplot(list(found["cosines"].values()), tick_labels=labels, whis=(0, 100))
    axis.axhline(0.9, linestyle="--", color="grey")
    axis.set(xlabel="columns", ylabel="cosine with the exact gradient", ylim=(0, 1.02))
    save(figure, "projection_gradients")


def tails() -> None:
    found = results("projection_tails")
    if found is None:
        return
    figure, axes = pyplot.subplots(1, 2, figsize=(11, 4))
    one, whole = found["estimate"], found["certificate"]
    axes[0].loglog(one["bound"], one["seen"], marker="o", label="seen")
    axes[0].loglog(one["bound"], one["bound"], "--", label="bound")
    axes[0].loglog(one["bound"], [bound / 20 for bound in one["bound"]], ":", label="bound / 20")
    axes[0].set(xlabel="exp(-k r(ε))", ylabel="P(estimate ≤ (1 - ε) norm)", title=f"one estimate, k = {one['rows']}")
    axes[1].loglog(whole["delta"], whole["seen"], marker="o", label=f"seen in {whole['trials']} seeds")
    axes[1].loglog(whole["delta"], whole["delta"], "--", label="δ")
    axes[1].set(xlabel="δ", ylabel="certificates with a bound too narrow", title=f"{whole['estimates']} estimates")
    for axis in axes:
        axis.legend()
        axis.grid(alpha=0.3)
    save(figure, "projection_tails")


def main() -> None:
    for draw in (scaling, errors, gradients, tails):
        draw()


if __name__ == "__main__":
    main()
