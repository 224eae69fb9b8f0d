"""Sections 4.1 and 4.2: fast adversarial training with single steps, and catastrophic overfitting."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import autodual
from thesis_tables.adversarial import ADAM, CIFAR, Run, accuracy, setting_of, strong, train
from thesis_tables.exact_accuracy import verified
from thesis_tables.size import Size
from thesis_tables.table import Experiment, NotRun, Row, Table, Values, by_row, not_run


def _ball(eps: float) -> autodual.LinfBall:
    return autodual.LinfBall(eps, domain=(0.0, 1.0))


# --- 4.1 and 4.2: single steps and free replays on CIFAR-10 -----------------------------------------------------------


def _method(name: str) -> tuple[Mapping[str, Any], int, float]:
    """The loss of a row of Table 4.1 or 4.6, with its epochs and the peak of its learning rate.

    Steps are in units of the radius, which names give as 8/255.
    """
    if name.startswith("free"):
        return {"kind": "free", "replays": 8, "step_size": 1.0}, 96, 0.04
    if name.startswith("pgd"):
        return {"kind": "pgd", "steps": 7, "step_size": 2 / 8}, 40, 0.2
    step = 16 if "16/255" in name else 10 if "10/255" in name or "dawnbench" in name else 8
    start = "zero" if "zero" in name else "previous" if "previous" in name else "uniform"
    return {"kind": "fgsm", "start": start, "step_size": step / 8}, 30, 0.2


def _method_run(name: str, seed: int, size: Size, epochs: int | None = None) -> Run:
    """The run of a row on CIFAR-10, or by the recipe for MNIST if that stands in for it."""
    loss, own, peak = _method(name)
    watch = {"collapse": {"watch": "always"}} if "early stop" in name else {}
    if setting_of(size) == CIFAR:
        rate = {"kind": "cyclic", "peak": peak}
        return Run("cifar10", "preact18", CIFAR.eps, loss, epochs or own, rate, seed=seed, more=watch)
    if loss["kind"] == "free":
        # From the whole radius on, where the first perturbations are corners, networks stay constant.
        knots = [[0, 0], [1 / 3, 1]]
        watch = {**watch, "radius": {"kind": "piecewise-linear", "unit": "run", "knots": knots}}
    elif loss.get("start") == "uniform":
        loss = {**loss, "start": "uncut"}
    return replace(_mnist_run(loss, seed), epochs=epochs or own, more=watch)


def table_4_1(row: Row, size: Size) -> Values:
    """CIFAR-10 at 8/255: accuracy, clean and under PGD with 50 steps and 10 restarts."""
    if "reported" in row["method"]:
        raise NotRun("a figure of another publication")
    found, more = [], {}
    for seed in range(size.seeds):
        dual, more = train(_method_run(row["method"], seed, size), size)
        found.append((accuracy(dual, setting_of(size).data, None, None, size), _robust(dual, size)))
    clean, robust = (statistics.mean(values) for values in zip(*found))
    return {"clean_accuracy": clean, "pgd_accuracy": robust, "runs": found, **more}


def _robust(dual: autodual.DualNetwork, size: Size) -> float:
    of = setting_of(size)
    return accuracy(dual, of.data, _ball(of.eps), strong(of.eps, of.step, size), size)


def table_4_6(row: Row, size: Size) -> Values:
    """Robust accuracy after the number of epochs that the thesis needed for 45 %, and the time per epoch."""
    if "dawnbench" not in row["method"]:
        raise NotRun("a figure of another publication")
    dual, more = train(_method_run(row["method"], 0, size, row["epochs"]), size)
    epochs = more["log"][-1]["epoch"]
    return {"epochs": epochs, "seconds_per_epoch": more["cpu_seconds"] / epochs, "robust": _robust(dual, size), **more}


def figure_4_7(row: Row, size: Size) -> Values:
    """Accuracy after runs of several lengths, which rows name; `size.epochs` is not looked at."""
    dual, more = train(_method_run(row["method"], 0, size, row["epochs"]), replace(size, epochs=0))
    clean = accuracy(dual, setting_of(size).data, None, None, size)
    return {"clean_accuracy": clean, "pgd_accuracy": _robust(dual, size), **more}


def figures_4_4_and_4_5(row: Row, size: Size) -> Values:
    """FGSM training from uniform starts by steps of so many 255ths of 8/255; in Figure 4.5 with the detector."""
    name = f"fgsm random{' + early stop' if row['detector'] else ''}"
    run = _method_run(name, 0, size)
    dual, more = train(replace(run, loss={**run.loss, "step_size": row["step"] / 8}), size)
    clean = accuracy(dual, setting_of(size).data, None, None, size)
    return {"clean_accuracy": clean, "pgd_accuracy": _robust(dual, size), **more}


# --- MNIST: starts and steps, and exact verification ------------------------------------------------------------------


def _mnist_run(loss: Mapping[str, Any], seed: int) -> Run:
    """The text names no recipe. Ours: Adam, a cyclic rate, 10 epochs, batches of 100, random starts not clipped.

    The peak rate is 0.005 for single steps and 0.001 for PGD; which others would do was not tried.
    """
    rate = {"kind": "cyclic", "peak": 5e-3 if loss["kind"] == "fgsm" else 1e-3, "top": 0.4}
    return Run("mnist", "small", 0.3, loss, 10, rate, optimiser=ADAM, batch_size=100, seed=seed)


def table_4_3(row: Row, size: Size) -> Values:
    """R+FGSM with different starts and steps: mean and standard deviation of robust accuracy over seeds."""
    start = "uncut-hypercube" if "hypercube" in row["init"] else "uncut"
    loss = {"kind": "fgsm", "start": start, "step_size": row["step"], "raw": True}
    found: list[float] = []
    spent = 0.0
    for seed in range(size.seeds):
        dual, more = train(_mnist_run(loss, seed), size)
        spent += more["cpu_seconds"]
        found.append(accuracy(dual, "mnist", _ball(0.3), strong(0.3, 0.01, size), size))
    spread = statistics.stdev(found) if len(found) > 1 else None
    return {"robust_accuracy": statistics.mean(found), "std": spread, "runs": found, "cpu_seconds": spent}


def table_4_4(row: Row, size: Size) -> Values:
    """Networks trained with PGD and with FGSM at 0.3: attacked at two radii, and verified exactly at 0.1."""
    if row["method"] == "pgd":
        loss = {"kind": "pgd", "steps": 40, "step_size": 0.01, "raw": True}
    else:
        loss = {"kind": "fgsm", "start": "uncut", "step_size": 1.25}
    dual, more = train(_mnist_run(loss, 0), size)
    attacked = {
        name: accuracy(dual, "mnist", _ball(eps), strong(eps, 0.01, size), size)
        for name, eps in (("pgd_accuracy_01", 0.1), ("pgd_accuracy_03", 0.3))
    }
    clean = accuracy(dual, "mnist", None, None, size)
    return {"clean_accuracy": clean, **attacked, **verified(dual, "mnist", _ball(0.1), size), **more}


EXPERIMENTS: dict[str, Experiment] = {
    "4.1": by_row(table_4_1),
    "4.3": by_row(table_4_3),
    "4.4": by_row(table_4_4),
    "4.6": by_row(table_4_6),
    **{name: not_run("needs ImageNet") for name in ("4.7", "4.8", "4.9")},
    "figure-4.4": by_row(figures_4_4_and_4_5),
    "figure-4.5": by_row(figures_4_4_and_4_5),
    "figure-4.7": by_row(figure_4_7),
}

_LENGTHS = {"fgsm + dawnbench": (2, 5, 10), "free m=8 + dawnbench": (16, 24, 48), "pgd-7 + dawnbench": (3, 10, 20)}

#: Figures, whose numbers the thesis does not print. Lengths of runs are ours, shorter than those of the thesis.
FIGURES: dict[str, Table] = {
    **{
        name: Table(
            name,
            f"robust accuracy against the step, in 255ths of a radius of 8{words}",
            "4.1.3",
            ("step", "detector"),
            ("clean_accuracy", "pgd_accuracy"),
            [{"step": step, "detector": bool(words)} for step in range(1, 17)],
        )
        for name, words in (("figure-4.4", ""), ("figure-4.5", ", with the detector"))
    },
    "figure-4.7": Table(
        "figure-4.7",
        "robust accuracy against the number of epochs",
        "4.2.2",
        ("method", "epochs"),
        ("clean_accuracy", "pgd_accuracy"),
        [{"method": method, "epochs": epochs} for method, lengths in _LENGTHS.items() for epochs in lengths],
    ),
}
