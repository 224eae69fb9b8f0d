"""Section 5.4: training against a union of norm balls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

import autodual
from autodual.attacks import Attack, Fgsm, Mim, Standard, broken
from autodual.perturbations import PerturbationSet
from thesis_tables.adversarial import ADAM, Run, fraction, strong, train
from thesis_tables.size import Size
from thesis_tables.table import Experiment, NotRun, Row, Table, Values, holds


@dataclass(frozen=True)
class Setting:
    """The setting of one data set of section 5.4: radii, step sizes in units of the input, and training.

    counts, test_steps: numbers of attack steps by norm, in training and in the evaluation. rows: by norm, the name of
    the table's row for the worst case.
    """

    data: str
    arch: str
    radii: Mapping[str, float]
    steps: Mapping[str, float]
    counts: Mapping[str, int]
    test_steps: Mapping[str, int]
    epochs: int
    rate: Mapping[str, Any]
    rows: Mapping[str, str]

    def ball(self, norm: str) -> PerturbationSet:
        """The ball of one norm, clipped to images."""
        return autodual.LpBall({"linf": float("inf"), "l2": 2.0, "l1": 1.0}[norm], self.radii[norm], domain=(0.0, 1.0))

    def attacks(self, norm: str, size: Size) -> dict[str, Attack]:
        """The attacks of one norm by their row in the table, without those that autodual does not have."""
        pgd = strong(self.radii[norm], self.steps[norm], size, self.test_steps[norm])
        linf: dict[str, Attack] = {"fgsm": Fgsm(), "mim": Mim(self.test_steps[norm])} if norm == "linf" else {}
        return {f"pgd {norm}": pgd, **linf}


_NORMS = ("linf", "l2", "l1")

MNIST = Setting(
    "mnist",
    "pooling",
    {"linf": 0.3, "l2": 1.5, "l1": 12.0},
    {"linf": 0.01, "l2": 0.1, "l1": 1.0},
    {"linf": 50, "l2": 100, "l1": 50, "msd": 100},
    {"linf": 100, "l2": 200, "l1": 100},
    20,
    {
        "kind": "piecewise-linear",
        "unit": "run",
        "knots": [[0, 0], [7 / 20, 0.1], [15 / 20, 0.001], [1, 0.0001]],
    },
    {"linf": "all linf 0.3", "l2": "all l2 1.5", "l1": "all l1 12"},
)
CIFAR = Setting(
    "cifar10",
    "preact18",
    {"linf": 0.03, "l2": 0.5, "l1": 12.0},
    {"linf": 0.003, "l2": 0.05, "l1": 1.0},
    {"linf": 40, "l2": 50, "l1": 50, "msd": 50},
    {"linf": 100, "l2": 200, "l1": 100},
    50,
    {"kind": "piecewise-linear", "unit": "run", "knots": [[0, 0], [0.4, 0.1], [0.8, 0.005], [1, 0]]},
    {"linf": "all linf 0.03", "l2": "all l2 (printed 0.05, meant 0.5)", "l1": "all l1 12"},
)


def _run(setting: Setting, column: str, size: Size) -> Run:
    """The training run of a column. With fewer attack steps (`--attack-steps`), each step is proportionally larger."""
    singles = {"P_inf": "linf", "P_2": "l2", "P_1": "l1"}
    norm = singles.get(column, "union")
    count = setting.counts["msd" if column == "MSD" else "l2" if column in ("P_2", "Worst-PGD", "PGD-Aug") else "linf"]
    loss: dict[str, Any] = {"kind": "msd" if column == "MSD" else "pgd", "steps": size.attack_steps or count}
    if column == "MSD":
        loss["objective"] = "cross-entropy"
    if column in ("Worst-PGD", "PGD-Aug"):
        loss["union"] = "worst" if column == "Worst-PGD" else "average"
    if norm == "union":
        members = ",".join(f"{name}:{setting.radii[name]}" for name in _NORMS)
        more: dict[str, Any] = {"set": {"norm": "union", "eps": 1.0, "members": members, "domain": [0, 1]}}
    else:
        more = {}
    eps = setting.radii.get(norm, 1.0)
    run = Run(setting.data, setting.arch, eps, loss, setting.epochs, setting.rate, norm=norm, more=more)
    return _gentle(run) if size.gentle else run


def _gentle(run: Run) -> Run:
    """The same run by Adam."""
    return replace(run, learning_rate={"kind": "cyclic", "peak": 2e-3, "top": 0.4}, optimiser=ADAM)


def _errors(dual: autodual.DualNetwork, setting: Setting, size: Size) -> dict[str, float]:
    """Accuracy in percent by row: clean, under each attack, under all attacks of a norm, and under all attacks."""
    standard = Standard(queries=size.queries)
    parts: dict[str, list[Tensor]] = {}
    for x, y in size.batches(setting.data, 250):
        parts.setdefault("clean", []).append(broken(dual.outputs, autodual.LinfBall(0.0).at(x), y, None))
        for norm in _NORMS:
            region = setting.ball(norm).at(x)
            for name, attack in {**setting.attacks(norm, size), f"standard {norm}": standard}.items():
                parts.setdefault(name, []).append(broken(dual.outputs, region, y, attack))
    wrong = {name: torch.cat(found) for name, found in parts.items()}
    for norm in _NORMS:
        of_norm = [*setting.attacks(norm, size), f"standard {norm}"]
        wrong[setting.rows[norm]] = torch.stack([wrong[name] for name in of_norm]).any(0)
    wrong["all attacks"] = torch.stack([wrong[setting.rows[norm]] for norm in _NORMS]).any(0)
    return {name: _resisting(found) for name, found in wrong.items()}


def union_table(setting: Setting) -> Experiment:
    """Table 5.2 or 5.3: each column is a network, attacked in all norms."""

    def experiment(table: Table, size: Size) -> Iterator[tuple[Row, Values]]:
        rows = {row["attack"]: row for row in table.rows}
        columns = ("P_inf", "P_2", "P_1", "Worst-PGD", "PGD-Aug", "MSD")
        for column in (one for one in columns if holds(one, size.only)):
            try:
                dual, more = train(_run(setting, column, size), size)
            except NotRun as reason:
                yield rows["clean"], {"not_run": str(reason)}
                return
            for attack, found in _errors(dual, setting, size).items():
                row = rows.setdefault(attack, {"attack": attack})
                spent = {f"{column}_cpu_seconds": more["cpu_seconds"]} if attack == "clean" else {}
                yield row, {column: found, **spent}

    return experiment


def other_radii(setting: Setting) -> Experiment:
    """Table 5.4 or 5.5: the network of multi steepest descent at the radii that rows name.

    The other columns are Tramèr and Boneh's networks.
    """

    def experiment(table: Table, size: Size) -> Iterator[tuple[Row, Values]]:
        clean, *attacked, every = table.rows
        try:
            dual, more = train(_run(setting, "MSD", size), size)
        except NotRun as reason:
            yield clean, {"not_run": str(reason)}
            return
        wrong = [_missed(dual, setting, size)]
        yield clean, {"MSD": _resisting(wrong[0]), "MSD_cpu_seconds": more["cpu_seconds"]}
        for row in attacked:
            norm, radius = row["attack"].split()
            part = replace(setting, radii={norm: fraction(radius)})
            attacks = [*part.attacks(norm, size).values(), Standard(queries=size.queries)]
            wrong += [_missed(dual, part, size, norm, attack) for attack in attacks]
            yield row, {"MSD": _resisting(torch.stack(wrong[-len(attacks) :]).any(0))}
        yield every, {"MSD": _resisting(torch.stack(wrong).any(0))}

    return experiment


def _missed(
    dual: autodual.DualNetwork, setting: Setting, size: Size, norm: str = "linf", attack: Attack | None = None
) -> Tensor:
    """Which test samples are wrong, under an attack in the ball of a norm if there is one."""
    ball = autodual.LinfBall(0.0) if attack is None else setting.ball(norm)
    return torch.cat([broken(dual.outputs, ball.at(x), y, attack) for x, y in size.batches(setting.data, 250)])


def _resisting(wrong: Tensor) -> float:
    return 100 * (1 - float(wrong.double().mean()))


EXPERIMENTS: dict[str, Experiment] = {
    "5.2": union_table(MNIST),
    "5.3": union_table(CIFAR),
    "5.4": other_radii(MNIST),
    "5.5": other_radii(CIFAR),
}
