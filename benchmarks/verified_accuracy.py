"""Verified accuracy of published networks: how many images are certified, and how many no attack breaks.

    python benchmarks/verified_accuracy.py FOLDER --work DIR [--only WORDS] [--images 20] [--save] [-- OPTIONS]

FOLDER holds weights/*.pth and images/*.npz (X or x, y), as benchmarks/published_networks.py names them. Each network
goes through `autodual certify … --attack standard`, with further options of it after --, such as
`-- --effort complete --timeout 60`. DIR keeps the documents, so that a run goes on where it was stopped. Published
figures are of the first 200 images.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy
from measure import save, say
from published_networks import NETWORKS, Published

COLUMNS = (
    "network",
    "images",
    "clean",
    "certified",
    "not broken",
    "s an image",
    "published",
    "published, not broken",
)
FACTORIES = Path(__file__).with_name("published_networks.py")


def certified(name: str, network: Published, options: argparse.Namespace, further: list[str]) -> dict[str, Any]:
    """The document of `autodual certify` on the first images."""
    stem = "".join(letter if letter.isalnum() else "_" for letter in name)
    data, result = options.work / f"{stem}.npz", options.work / f"{stem}.json"
    with numpy.load(options.folder / "images" / network.images) as held:
        x = held["X"] if "X" in held else held["x"]
        numpy.savez(data, x=x[: options.images], y=held["y"][: options.images])
    command = [sys.executable, "-m", "autodual_cli", "certify", str(options.folder / "weights" / network.weights)]
    command += ["--arch", f"{FACTORIES}:{network.factory}", "--data", str(data), "--domain", "0,1"]
    command += ["--norm", network.norm, "--eps", network.eps, "--attack", "standard"]
    if network.mean is not None and network.std is not None:
        command += ["--mean", network.mean, "--std", network.std]
    command += ["--json", str(result), "--resume", "--batch-size", "10", *further]
    subprocess.run(command, check=True)
    return json.loads(result.read_text(encoding="utf-8"))


def row(name: str, network: Published, document: dict[str, Any]) -> list[str]:
    """One line of the table."""
    summary = document["summary"]
    count = summary["count"]
    correct = count - summary["misclassified"]

    def share(part: int) -> str:
        return f"{100 * part / count:.1f} %"

    return [
        name,
        str(count),
        share(correct),
        share(summary["certified"]),
        share(correct - summary["falsified"]),
        f"{summary['seconds'] / count:.2g}",
        ", ".join(f"{tool} {value:g} %" for tool, value in network.verified) or "–",
        "–" if network.upper is None else f"{network.upper:g} %",
    ]


def main() -> None:
    place = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    further = sys.argv[place + 1 :]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="keeps what was done")
    parser.add_argument("--only", default="", help="networks whose name has these words")
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--save", action="store_true", help="write docs/results/verified_accuracy.json")
    options = parser.parse_args(sys.argv[1:place])
    options.work.mkdir(parents=True, exist_ok=True)
    chosen = {name: network for name, network in NETWORKS.items() if options.only in name}
    table = []
    for name, network in chosen.items():
        table.append(row(name, network, certified(name, network, options, further)))
    for line in (COLUMNS, ["---"] * len(COLUMNS), *table):
        say(f"| {' | '.join(line)} |")
    if options.save:
        say(save("verified_accuracy", {"table": [dict(zip(COLUMNS, line)) for line in table]}))


if __name__ == "__main__":
    main()
