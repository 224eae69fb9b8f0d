"""Sections 4.3 and 4.4: robust overfitting, and what helps against it."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from thesis_tables.adversarial import CIFAR, SGD, Run, fraction, setting_of, train
from thesis_tables.size import Size
from thesis_tables.table import Experiment, NotRun, Row, Values, by_row

#: Of attacks of ten steps, in units of the radius: 2/255 of 8/255, and 15/255 of 128/255.
STEPS = {"linf": 2 / 8, "l2": 15 / 128}
_DROPS = [[0, 0.1], [0.5, 0.1], [0.5, 0.01], [0.75, 0.01], [0.75, 0.001]]


def _overfitting_run(loss: Mapping[str, Any], eps: float, norm: str, size: Size, **more: Any) -> Run:
    """200 epochs, with drops of the rate at 100 and 150; every epoch records the errors on all three sets.

    The attack that errors are measured by has the loss's step, in units of the radius. 1,000 training samples are held
    out, or a fifth where `--limit` leaves less than 5,000.
    """
    data, held = setting_of(size).data, min(1000, size.limit // 5) if size.limit else 1000
    rate = {"kind": "piecewise-linear", "unit": "run", "knots": _DROPS}
    sections = {
        "validation": {"select": "robust", "attack_step_size": STEPS[norm], "attack_start": "uniform"},
        "curves": {"sets": ["train", "test"], "samples": size.test},
        **more,
        "data": {"hold_out": held, "test": f"{data}:test", **more.get("data", {})},
    }
    return Run(data, "preact18", eps, loss, 200, rate, norm=norm, more=sections)


def _summary(log: list[dict[str, float]]) -> dict[str, Any]:
    """Best and final errors and their difference, as the thesis defines them.

    Best is the minimum over epochs of the error on the *test* set, which must not be used for stopping;
    `robust_error_chosen` is the test error at the epoch that held-out samples choose.
    """
    found: dict[str, Any] = {}
    best = min(log, key=lambda line: line["test_robust_error"])
    for kind in ("robust", "clean"):
        last = [100 * line[f"test_{kind}_error"] for line in log[-5:]]
        found[f"{kind}_error_final"] = statistics.mean(last)
        found[f"{kind}_error_final_std"] = statistics.stdev(last) if len(last) > 1 else None
        found[f"{kind}_error_best"] = 100 * best[f"test_{kind}_error"]
        found[f"{kind}_diff"] = found[f"{kind}_error_final"] - found[f"{kind}_error_best"]
    chosen = [line for line in log if line["chosen"]]
    return {**found, "robust_error_chosen": 100 * chosen[-1]["test_robust_error"]} if chosen else found


def tables_4_10_and_4_12(row: Row, size: Size) -> Values:
    """The difference of the error between the last epochs and the best epoch."""
    if row["dataset"] != "cifar10":
        raise NotRun(f"only CIFAR-10 is set up, not {row['dataset']}")
    adversary, norm = row.get("adversary", "pgd"), row["norm"]
    if setting_of(size) != CIFAR and norm != "linf":
        raise NotRun("only l∞ is set up for digits")
    eps = fraction(row["eps"]) if setting_of(size) == CIFAR else setting_of(size).eps
    losses = {
        "pgd": {"kind": "pgd", "steps": 10, "step_size": STEPS[norm]},
        "trades": {"kind": "trades", "steps": 10, "step_size": STEPS[norm]},
        "fgsm": {"kind": "fgsm", "step_size": 7 / 8 if norm == "linf" else 1.0},
    }
    _, more = train(_overfitting_run(losses[adversary], eps, norm, size), size)
    return {**_summary(more["log"]), **more}


def table_4_11(row: Row, size: Size) -> Values:
    """Rates that fall once, within 150 epochs: the least robust error of any of them, on the test set as printed."""
    start, end, fall = row["start_lr"], row["end_lr"], row["decay_epoch"] / 150
    knots = [[0, start], [fall, start], [fall, end]]
    loss = {"kind": "pgd", "steps": 10, "step_size": STEPS["linf"]}
    run = _overfitting_run(loss, setting_of(size).eps, "linf", size)
    rate = {"kind": "piecewise-linear", "unit": "run", "knots": knots}
    _, more = train(replace(run, epochs=150, learning_rate=rate), size)
    found = _summary(more["log"])
    return {"best_robust_error": found["robust_error_best"], **found, **more}


def table_4_13(row: Row, size: Size) -> Values:
    """Regularisers against robust overfitting."""
    sections: dict[str, Mapping[str, Any]] = {
        "early stopping on validation": {},
        "l1": {"optimiser": {**SGD, "weight_decay": 0.0, "l1": 5e-5}},
        "l2": {"optimiser": {**SGD, "weight_decay": 5e-2, "decayed": "affine"}},
        "cutout": {"data": {"augmentations": [{"kind": "cutout", "side": 14}]}},
        "mixup": {"data": {"augmentations": [{"kind": "mixup", "alpha": 1.4}]}},
    }
    if row["method"] not in sections:
        raise NotRun("needs 500,000 images of TinyImages")
    loss = {"kind": "pgd", "steps": 10, "step_size": STEPS["linf"]}
    _, more = train(_overfitting_run(loss, setting_of(size).eps, "linf", size, **sections[row["method"]]), size)
    return {**_summary(more["log"]), **more}


EXPERIMENTS: dict[str, Experiment] = {
    "4.10": by_row(tables_4_10_and_4_12),
    "4.11": by_row(table_4_11),
    "4.12": by_row(tables_4_10_and_4_12),
    "4.13": by_row(table_4_13),
}
