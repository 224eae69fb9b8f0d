"""Successes and CPU time of the library's attacks, compared with torchattacks and Foolbox at equal gradient counts.

    python benchmarks/attack_strength.py REFERENCE [--images 200] [--repeats 2] [--only ROWS] [--standard 0] [--save]

REFERENCE is the folder of public reference networks. Each network is attacked at the first images that it classifies
correctly (`attacked_networks.py`), on one thread, in float32. A success is a point of the set where another class wins,
checked in the same way for all. Attacks of one row may take equally many gradients per sample: on a union as many as
attacks on each member together. PGD begins at random points and raises the cross-entropy, as the others do. The
library's attacks stop at refuted samples. Attacks are run in turn, and the shortest time of each counts. `standard` is
compared with torchattacks' AutoAttack on `--standard` images. Peers that are not installed are left out.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from attacked_networks import NETWORKS, SETS, Attacked, attacked
from autodual_cli.output.provenance import source_sha256
from measure import RESULTS, save, say
from peer_attacks import Attack, peer_attacks
from torch import Tensor, nn

from autodual.attacks import Apgd, Msd, Pgd, Square, Standard, attack_members
from autodual.perturbations import L2Ball, PerturbationSet
from autodual.specs import ClassMargin

#: Gradients of PGD and of Auto-PGD, and queries of the gradient-free search (Square).
STEPS, ADAPTIVE, QUERIES = 40, 100, 1000


def own_attacks(model: nn.Module, ball: PerturbationSet) -> dict[str, Attack]:
    """The library's attacks by kind."""
    # Foolbox begins at the edge of the ball.
    start = "outward" if isinstance(ball, L2Ball) else "scattered"
    kinds = {
        "PGD": Pgd(STEPS, start=start, objective="cross-entropy", keep="first"),
        "PGD, adaptive": Apgd(STEPS, keep="first"),
        "APGD": Apgd(ADAPTIVE, keep="first"),
        "APGD, DLR": Apgd(ADAPTIVE, objective="dlr", keep="first"),
        "APGD, targeted": Apgd(ADAPTIVE, 9, "targeted-dlr", keep="first"),
        "Square": Square(QUERIES),
        "standard": Standard(),
        "MSD": Msd(STEPS, restarts=len(ball.members()), objective="cross-entropy", keep="first", start="outward"),
    }

    def run(kind: str) -> Attack:
        attack = kinds[kind]
        return lambda x, labels: attack_members(attack, model, ball.at(x), ClassMargin(labels))

    return {kind: run(kind) for kind in kinds}


def measured(
    attack: Attack, model: nn.Module, ball: PerturbationSet, x: Tensor, labels: Tensor
) -> tuple[Tensor, float]:
    """Which samples an attack refutes, and its CPU seconds."""
    start = time.process_time()
    points = attack(x, labels)
    seconds = time.process_time() - start
    with torch.no_grad():
        found = (model(points.detach()).argmax(1) != labels) & ball.at(x).contains(points.detach(), 1e-5)
    return found, seconds


def compare(row: dict[str, Any], attacks: dict[str, Attack], repeats: int, measure: Callable[[Attack], Any]) -> Any:
    """Fill in and return the row: each attack's successes and shortest time. Prints time ratios, ours to theirs."""
    for _ in range(repeats):
        for name, attack in attacks.items():
            found, seconds = measure(attack)
            old = row["attacks"].get(name, {"seconds": float("inf")})
            row["attacks"][name] = {"successes": int(found.sum()), "seconds": round(min(seconds, old["seconds"]), 3)}
    ours = row["attacks"]["autodual"]
    for name, found in row["attacks"].items():
        ratio = ours["seconds"] / found["seconds"]
        say(f"{row['network']:16} {row['set']:10} {row['kind']:15} {name:28} {found['successes']:5} {ratio:6.2f}")
    return row


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reference", type=Path)
    parser.add_argument("--images", type=int, default=200, help="for all but `standard`; 0: these rows are left out")
    parser.add_argument("--standard", type=int, default=0, help="images for `standard` and AutoAttack (default: none)")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--only", default="", help="a regular expression for rows, such as 'l2 .* APGD$'")
    parser.add_argument("--save", action="store_true", help="put the rows into docs/results/attack_strength.json")
    return parser.parse_args()


def rows_of(name: str, key: str, subject: Attacked, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The comparisons of every kind of attack on one network, over one set."""
    model, ball = subject.model, SETS[key]
    ours, peers = own_attacks(model, ball), peer_attacks(model, ball)
    for kind, attacks in peers.items():
        count = options.standard if kind == "standard" else options.images
        if count == 0 or not re.search(options.only, f"{name} {key} {kind}"):
            continue
        some = subject.first(count)
        own = {"autodual": ours[kind]}
        if kind == "PGD" and key != "union":
            own["autodual, adaptive"] = ours["PGD, adaptive"]
        row = {"network": name, "set": key, "kind": kind, "images": len(some.x), "attacks": {}}
        measure = partial(measured, model=model, ball=ball, x=some.x, labels=some.labels)
        yield compare(row, {**own, **attacks}, 1 if kind == "standard" else options.repeats, measure)


def main() -> None:
    options = arguments()
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    for name, sets in NETWORKS.items():
        subject = attacked(options.reference, name)
        for key in sets:
            for row in rows_of(name, key, subject, options):
                rows.append(row)
                if options.save:
                    keep(rows)


def keep(rows: list[dict[str, Any]]) -> None:
    """Write the rows to docs/results, in place of those of the same comparisons and beside the others."""
    path, own = RESULTS / "attack_strength.json", source_sha256()
    before = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []
    found = {compared(row): row for row in before} | {compared(row): {**row, "source_sha256": own} for row in rows}
    versions = {package: version(package) for package in ("torchattacks", "foolbox")}
    save("attack_strength", {"versions": versions, "rows": list(found.values())})


def compared(row: dict[str, Any]) -> tuple[str, str, str]:
    """What a row compares."""
    return row["network"], row["set"], row["kind"]


if __name__ == "__main__":
    main()
