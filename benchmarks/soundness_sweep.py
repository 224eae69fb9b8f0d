"""Checks guaranteed bounds of published networks at many points of their properties' input boxes.

    python benchmarks/soundness_sweep.py --assets FOLDER [--limit 1] [--points 10000] [--minutes 12] [--output FILE]

FOLDER holds files `instances.csv` with the columns onnx and vnnlib, at any depth. For each network and `--limit` of its
properties, every output and every row of the property's constraints is bounded over the first box, with shared and with
adaptive slopes, in float32 and in float64, including rounding errors. Then the network runs in float64 at `--points`
random points, as many corners, and as many steps of projected gradient descent. A violation is a value below its bound
by more than float64's own rounding. Smaller files come first; after `--minutes` no further file is started.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

import autodual
from autodual.attacks import Pgd
from autodual.network import DualNetwork, JoinedInputs
from autodual.perturbations import Box, Region
from autodual.properties import Property
from autodual.specs import HalfSpaces
from autodual.tensors import flat

# Number of scalars of one chunk of points, over all nodes, so that memory does not grow with the network.
_CHUNK = 1 << 24
_MOST_ROWS = 64
_STEPS = 50
# Rounding error of the network's own run in float64, relative to 1 + |value|.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Finding:
    """For one network and property: the least difference of values and their bounds, and the number of violations."""

    network: str
    property: str
    rows: int
    points: int
    least_slack: dict[str, float]
    violations: int
    finite: float
    seconds: float


def instances(folder: Path, limit: int) -> Iterator[tuple[Path, Path]]:
    """Networks with up to `limit` properties each, small networks first."""
    found: dict[Path, list[Path]] = {}
    for table in sorted(folder.rglob("instances.csv")):
        with open(table, newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                wanted = found.setdefault(table.parent / row["onnx"], [])
                if len(wanted) < limit and table.parent / row["vnnlib"] not in wanted:
                    wanted.append(table.parent / row["vnnlib"])
    for network in sorted(found, key=lambda path: path.stat().st_size):
        for goal in found[network]:
            yield network, goal


def compiled(path: Path) -> DualNetwork:
    """The dual network of a file; several inputs are joined into one."""
    network = autodual.load_onnx(path, check=False).requires_grad_(False)
    shapes = network.input_shapes
    model = network if len(shapes) == 1 else JoinedInputs(network, shapes)
    shape = shapes[0] if len(shapes) == 1 else (sum(math.prod(shape) for shape in shapes),)
    return autodual.compile_dual(model, torch.zeros(1, *shape))


def examine(dual: DualNetwork, goal: Property, points: int, seed: int = 0) -> tuple[int, dict, int, float]:
    """The number of rows, the least slack by dtype and slopes, the violations, and the share of finite bounds."""
    graph = dual.plan.graph
    shape, outputs = graph[graph.inputs[0]].shape, graph[graph.outputs[0]].size
    case = goal.cases[0]
    lower, upper = (torch.from_numpy(end.copy()).reshape(1, *shape) for end in (case.lower, case.upper))
    identity = torch.eye(outputs, dtype=torch.float64)
    own = [torch.from_numpy(part.matrix) for part in case.conjunctions]
    rows = torch.cat([*own, identity, -identity])[:_MOST_ROWS]
    box, generator = Box(lower, upper), torch.Generator().manual_seed(seed)
    region = box.at((lower + upper) / 2)
    least = least_values(dual, region, rows, points, generator)
    slack, violations, finite = {}, 0, []
    for dtype in (torch.float32, torch.float64):
        for slopes in ("shared", "adaptive"):
            with torch.no_grad():
                bound = dual(region.centre.to(dtype), box, rows.to(dtype), slopes=slopes, rigorous=True).lower[0]
            bound = bound.double()
            violations += int((bound > least + _ROUNDING * (1 + least.abs())).sum())
            finite.append(bound.isfinite().double().mean())
            gap = (least - bound)[bound.isfinite()]
            slack[f"{str(dtype)[6:]} {slopes}"] = float(gap.min()) if gap.numel() else math.nan
    return len(rows), slack, violations, float(torch.stack(finite).mean())


def least_values(dual: DualNetwork, region: Region, rows: Tensor, points: int, generator: torch.Generator) -> Tensor:
    """`[R]`: the least value of each row over random points, corners and descents, `points` of each kind."""
    scalars = sum(node.size for node in dual.plan.graph)
    chunk = max(1, min(points, _CHUNK // scalars))
    least = torch.full((len(rows),), math.inf, dtype=torch.float64)
    for draw in (region.sample, region.corners):
        for first in range(0, points, chunk):
            with torch.no_grad():
                some = draw(min(chunk, points - first), generator)[:, 0]
                least = least.minimum((flat(dual.outputs(some)) @ rows.T).amin(0))
    starts = max(1, points // (_STEPS * len(rows)))
    each = rows.repeat(starts, 1)
    for some in each.split(max(1, chunk // 4)):
        alike = region.select(torch.zeros(len(some), dtype=torch.long))
        spec = HalfSpaces(some.unsqueeze(1), torch.zeros(len(some), 1, dtype=torch.float64))
        worst = Pgd(steps=_STEPS, restarts=1).run(dual.outputs, alike, spec, generator)
        with torch.no_grad():
            least = least.minimum((flat(dual.outputs(worst)) @ rows.T).amin(0))
    return least


def table(findings: list[Finding]) -> str:
    """A Markdown table with a line for each network and property."""
    lines = ["| network | property | rows | least slack, float32 | float64 | violations |", "|---|---|---|---|---|---|"]
    for found in findings:
        single, double = (
            min((slack for name, slack in found.least_slack.items() if name.startswith(dtype)), default=math.nan)
            for dtype in ("float32", "float64")
        )
        lines.append(
            f"| {found.network} | {found.property} | {found.rows} | {single:.3g} | {double:.3g} | {found.violations} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=1, help="properties of each network")
    parser.add_argument("--points", type=int, default=10_000, help="points of each kind")
    parser.add_argument("--minutes", type=float, default=math.inf)
    parser.add_argument("--output", type=Path, help="where to write all figures as JSON")
    options = parser.parse_args()
    findings: list[Finding] = []
    start, duals = time.monotonic(), {}
    for network, goal in instances(options.assets, options.limit):
        if time.monotonic() - start > 60 * options.minutes:
            break
        begun = time.monotonic()
        if network not in duals:
            duals = {network: compiled(network)}
        found = examine(duals[network], autodual.load_property(goal), options.points)
        rows, slack, violations, finite = found
        seconds = time.monotonic() - begun
        names = f"{network.parent.parent.name}/{network.name}", goal.name
        findings.append(Finding(*names, rows, 3 * options.points, slack, violations, finite, seconds))
        print(f"{seconds:7.1f} s  {names[0]}  {names[1]}  {slack}  {violations}", flush=True)  # noqa: T201
        if options.output is not None:
            record = {"torch": torch.__version__, "cores": os.cpu_count(), "findings": [asdict(f) for f in findings]}
            options.output.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print(table(findings))  # noqa: T201
    if any(found.violations for found in findings):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
