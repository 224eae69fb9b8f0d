"""Instances of the verification competition: score, wrong answers, times and parts a second, by benchmark.

    python benchmarks/vnncomp.py FOLDER … --work DIR [--timeout 20] [--most 5] [--jobs 1] [--save]

Each FOLDER holds an instances.csv, whose column `expected` has the recorded answers; columns `unsat_by` and `sat_by`
name the tools that decided an instance, such as `nnenum@2022`, on the competition's machines and within its time. DIR
keeps the rows, so that a run goes on where it was stopped. --most takes so many instances of each folder, spread
evenly.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from measure import save, say

from autodual.properties.instance_list import Instance, load_instances
from autodual.report.benchmark_score import summarise_instances

COLUMNS = (
    "benchmark", "instances", "unsat", "sat", "open", "wrong", "score", "best tool then", "median CPU s", "parts/CPU s",
)  # fmt: skip


def chosen(instances: Sequence[Instance], most: int | None) -> list[int]:
    """The places of at most `most` instances, spread evenly."""
    if most is None or len(instances) <= most:
        return list(range(len(instances)))
    return sorted({round(step * (len(instances) - 1) / max(most - 1, 1)) for step in range(most)})


def tools(folder: Path, places: Sequence[int]) -> tuple[str, float] | None:
    """The tool that decided most of the instances at these places, and its share; None where the file does not say.

    Of several that decided as many, it is the one whose name comes first in the alphabet.
    """
    with open(folder / "instances.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    found: Counter[str] = Counter()
    for place in places:
        named = (rows[place].get("unsat_by") or "").split() if rows[place].get("expected") == "unsat" else []
        named += (rows[place].get("sat_by") or "").split() if rows[place].get("expected") == "sat" else []
        found.update({tool.partition("@")[0] for tool in named})
    if not found:
        return None
    tool, count = min(found.items(), key=lambda entry: (-entry[1], entry[0]))
    return tool, count / len(places)


def run(instances: Sequence[Instance], options: argparse.Namespace) -> list[dict[str, Any]]:
    """The rows of `autodual bench` on the instances, in their order."""
    options.work.mkdir(parents=True, exist_ok=True)
    path, document = options.work / "instances.csv", options.work / "rows.json"
    with open(path, "w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file)
        for one in instances:
            places = (one.network_path.resolve(), one.goal_path.resolve())
            lines.writerow([*places, one.timeout or options.timeout, one.expected or ""])
    command = [sys.executable, "-m", "autodual_cli", "bench", str(path), "--timeout", str(options.timeout)]
    command += ["--jobs", str(options.jobs), "--threads", "1", "--json", str(document), "--resume"]
    done = subprocess.run(command, check=False)
    if done.returncode not in (0, 3):  # 3: a wrong answer, which the table shows
        sys.exit(done.returncode)
    return json.loads(document.read_text(encoding="utf-8"))["instances"]


def row(name: str, rows: Sequence[dict[str, Any]], best: tuple[str, float] | None) -> list[str]:
    """One line of the table."""
    summary = summarise_instances(rows, 0.0)
    undecided = summary["count"] - summary["sat"] - summary["unsat"]
    cpu, parts = summary["median_cpu_seconds"], summary["parts_per_second"]
    return [
        name,
        *(str(summary[key]) for key in ("count", "unsat", "sat")),
        str(undecided),
        str(summary["wrong"]),
        f"{100 * (summary['share'] or 0):.0f} %",
        "–" if best is None else f"{best[0]} {100 * best[1]:.0f} %",
        "–" if cpu is None else f"{cpu:.1f}",
        "–" if parts is None else f"{parts:,.0f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="keeps what was done")
    parser.add_argument("--timeout", type=float, default=20.0, help="the most for each instance, in seconds")
    parser.add_argument("--most", type=int, help="instances of each folder")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--save", action="store_true", help="write docs/results/vnncomp.json")
    options = parser.parse_args()
    picked: list[tuple[Path, list[int], list[Instance]]] = []
    for folder in options.folders:
        instances = load_instances(folder / "instances.csv")
        places = chosen(instances, options.most)
        picked.append((folder, places, [instances[place] for place in places]))
    rows = run([one for _, _, instances in picked for one in instances], options)
    table, start = [], 0
    for folder, places, instances in picked:
        table.append(row(folder.name, rows[start : start + len(instances)], tools(folder, places)))
        start += len(instances)
    table.append(row("all", rows, None))
    for line in (COLUMNS, ["---"] * len(COLUMNS), *table):
        say(f"| {' | '.join(line)} |")
    if options.save:
        lines = [dict(zip(COLUMNS, line)) for line in table]
        say(save("vnncomp", {"timeout": options.timeout, "threads": 1, "jobs": options.jobs, "table": lines}))


if __name__ == "__main__":
    main()
