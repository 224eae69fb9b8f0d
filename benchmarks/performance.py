"""Every row of the table in `docs/performance.md`: our time beside what it is compared with, and the arithmetic in it.

    PYTHONPATH=CLONE python benchmarks/performance.py [--only WORDS] [--repeats 5] [--networks FOLDER]
    python benchmarks/performance.py --table

CLONE is a checkout of the public repository Verified-Intelligence/auto_LiRPA, FOLDER holds published networks. One
thread, float32, CPU time, both in turn, the least of a few runs. Results are merged into docs/results/performance.json,
so that rows may be measured one by one, and put into the page as its table; --table measures nothing before.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

import torch
from measure import RESULTS, calibration, save, say
from peer_networks import product_speed
from performance_rows import Row, Work, rows_of
from torch.utils.flop_counter import FlopCounterMode

FILE, PAGE = RESULTS / "performance.json", RESULTS.parent / "performance.md"
_BEFORE, _BEHIND = "<!-- rows of results/performance.json -->\n", "<!-- end of rows -->"
# Seconds of both works together from which on their first runs are enough.
_LONG = 5.0


def spent(work: Work) -> float:
    """Process-CPU seconds."""
    start = time.process_time()
    work()
    return time.process_time() - start


def measured(row: Row, repeats: int, speed: float, unit: float) -> dict[str, Any]:
    """A row's result: seconds a sample of both, the row's figure, its arithmetic, and the share of time that takes."""
    torch.manual_seed(0)
    works = [one for one in row.work() if one is not None]
    warm = [spent(work) for work in works]
    times = [warm]
    if sum(warm) < _LONG:
        for _ in range(12):  # by then calls of ours are replayed, those for simpler slopes beside them too
            for work in works:
                work()
        times = [[spent(work) for work in works] for _ in range(repeats)]
    ours, *theirs = (min(column) for column in zip(*times))
    ratio = statistics.median(one[0] / one[1] for one in times) if theirs else None
    with FlopCounterMode(display=False) as counter:
        works[0]()
    flop = counter.get_total_flops()
    figure = {"ratio": ratio, "ms": 1e3 * ours, "s": ours, "C": ours / unit}[row.unit]
    return {
        "row": row.name,
        "unit": row.unit,
        "found": figure if figure is None or row.unit == "ratio" else figure / row.samples,
        "wanted": row.wanted,
        "beside": row.beside if theirs else None,
        "seconds": ours / row.samples,
        "seconds_beside": theirs[0] / row.samples if theirs else None,
        "ratio": ratio,
        "GFLOP": flop / 1e9,
        "share": flop / speed / ours,
        "C": unit,
        "product_GFLOP_a_second": speed / 1e9,
        "version": _version(),
    }


def _version() -> str:
    """The commit of this file's repository."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def table(rows: list[dict[str, Any]]) -> str:
    """The results as Markdown."""
    lines = [
        "| work | ours, ms a sample | beside | theirs, ms | ratio | wanted | GFLOP a call | share | version |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        found, unit = row["found"], row["unit"]
        wanted = f"≤ {row['wanted']:g}" + ("" if unit == "ratio" else f" {unit}")
        reached = "" if found is None or found > row["wanted"] else " ✓"
        shown = "" if unit == "ratio" or found is None else f" ({found:.3g} {unit})"
        theirs = "" if row["seconds_beside"] is None else f"{1e3 * row['seconds_beside']:.3g}"
        ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f}"
        lines.append(
            f"| {row['row']} | {1e3 * row['seconds']:.3g}{shown} | {row['beside'] or ''} | {theirs} | {ratio} | "
            f"{wanted}{reached} | {row['GFLOP']:.2g} | {row['share']:.2f} | {row['version']} |"
        )
    return "\n".join(lines)


def write(rows: list[dict[str, Any]]) -> None:
    """Put the table where the page has it."""
    before, rest = PAGE.read_text(encoding="utf-8").split(_BEFORE)
    _, behind = rest.split(_BEHIND)
    PAGE.write_text(before + _BEFORE + table(rows) + "\n" + _BEHIND + behind, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=[], help="rows whose names hold one of these")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--networks", type=Path, help="a folder of published networks")
    parser.add_argument("--table", action="store_true", help="measure nothing")
    options = parser.parse_args()
    known = {row["row"]: row for row in json.loads(FILE.read_text())["rows"]} if FILE.exists() else {}
    if not options.table:
        torch.set_num_threads(1)
        for row in rows_of(options.networks):
            if options.only and not any(word in row.name for word in options.only):
                continue
            unit, speed = min(spent(calibration) for _ in range(3)), product_speed()
            with torch.set_grad_enabled("interval step" in row.name):  # no others take gradients
                known[row.name] = measured(row, options.repeats, speed, unit)
            say(known[row.name])
            save("performance", {"rows": list(known.values())})
    write(list(known.values()))


if __name__ == "__main__":
    main()
