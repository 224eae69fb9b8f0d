"""Chapter 3: training on the dual bound, single networks and cascades."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import autodual
from autodual.architectures import network_size
from autodual.attacks import Attack, Fgsm, Pgd, broken
from autodual.certification import Cascade, certify_cascade
from autodual.errors import DataError
from autodual.perturbations import PerturbationSet
from autodual.train.checkpoint import RunFolder
from autodual.train.recipe import Recipe, assemble
from autodual.train.samples import split
from autodual.train.stages import Stages
from thesis_tables.networks import SHAPES, arch_of, factory_of, model_of
from thesis_tables.size import Size
from thesis_tables.table import Experiment, NotRun, Row, Table, Values, by_row

CIFAR = {"mean": [0.485, 0.456, 0.406], "std": [0.225] * 3}
NORMS = {"linf": float("inf"), "l2": 2.0}


def radius(row: Row) -> float:
    """The radius that a row names, such as 2/255."""
    return float(Fraction(str(row["eps"])))


def ball(row: Row) -> PerturbationSet:
    """The perturbation set of a row, not clipped to images, as in the thesis' text."""
    return autodual.LpBall(NORMS[row["norm"]], radius(row))


def recipe_of(row: Row, size: Size, *, projection: int = 0, robust: bool = True, stages: int = 1) -> Recipe:
    """The recipe of Section 3.5; its 60 epochs are scaled to the number that is run."""
    epochs = size.epochs or 60
    unit, data = epochs / 60, row["dataset"]
    first = 0.001 if data == "cifar10" else 0.01
    arch = "benchmarks/thesis_tables/networks.py:har_network" if data == "har" else arch_of(row)
    return assemble(
        Recipe,
        {
            "epochs": epochs,
            "batch_size": 50,
            "stages": stages,
            "projection": projection,
            "radius": {"kind": "linear", "start": min(1.0, first / radius(row)), "end": 1.0, "finish": 20 * unit},
            "learning_rate": {
                "kind": "steps",
                "start": 1e-3,
                "at": [place * unit for place in (20, 30, 40, 50)],
                "factor": 0.5,
            },
            "data": {
                "limit": size.limit,
                "hold_out": min(200, size.limit // 5) if size.limit else 200,
                **(CIFAR if data == "cifar10" else {}),
            },
            "network": {"arch": arch},
            "set": {"eps": radius(row), "norm": NORMS[row["norm"]]},
            "loss": "robust" if robust else "clean",
            "validation": {"bounds": "dual", "samples": 100, "attack_steps": 0},
        },
    )


def train(row: Row, recipe: Recipe, size: Size) -> tuple[Cascade, list[dict[str, Any]]]:
    """The trained stages, and the figures of every epoch."""
    dataset, factory = size.dataset(f"{row['dataset']}:train"), factory_of(row["dataset"])
    with tempfile.TemporaryDirectory() as place:
        stages = Stages(recipe, split(dataset, recipe.data, recipe.seed), RunFolder(Path(place)), factory=factory)
        log: list[dict[str, Any]] = []
        for number, training in enumerate(stages, start=1):
            while not training.done:
                training.step()
            log += [{"stage": number, **line} for line in training.progress.rows]
        if recipe.stages > 1:
            models = autodual.load_cascade(stages.folder.cascade, factory)
        else:
            models = [autodual.load_model(stages.folder.network, factory=factory)]  # type: ignore[list-item]
    return Cascade([autodual.compile_dual(model) for model in models]), log  # type: ignore[arg-type]


def require(row: Row, size: Size) -> None:
    """Raise NotRun if the network is too large or the data are missing."""
    parameters = sum(value.numel() for value in model_of(row).parameters())
    if parameters > size.largest:
        raise NotRun(f"{parameters:,} parameters")
    try:
        size.dataset(f"{row['dataset']}:train"), size.dataset(f"{row['dataset']}:test")
    except DataError:
        raise NotRun(f"no files of {row['dataset']} in --data-dir") from None


def trained(row: Row, size: Size, **options: Any) -> tuple[Cascade, dict[str, Any]]:
    """A trained network or cascade, with the time that it took and its log."""
    require(row, size)
    start = time.process_time()
    cascade, log = train(row, recipe_of(row, size, **options), size)
    return cascade, {"cpu_seconds": time.process_time() - start, "log": log}


def errors(cascade: Cascade, row: Row, region: PerturbationSet, size: Size) -> dict[str, float]:
    """Errors of the first stage in percent: clean, FGSM, PGD (20 steps), and certified.

    The certified error is by the thesis' bound: exact, with shared slopes.
    """
    network = cascade.stages[0]
    attacks: Mapping[str, Attack | None] = {"clean_error": None, "fgsm_error": Fgsm(), "pgd_error": Pgd(20)}
    found, count = dict.fromkeys((*attacks, "robust_bound_error"), 0), 0
    for x, y in size.batches(row["dataset"]):
        count += len(x)
        for name, attack in attacks.items():
            found[name] += int(broken(network.outputs, region.at(x), y, attack).sum())
        certificates = autodual.certify(network, x, region, y, slopes="shared")
        found["robust_bound_error"] += sum(not one.certified for one in certificates)
    return {name: 100 * value / count for name, value in found.items()}


def cascade_error(cascade: Cascade, row: Row, size: Size) -> float:
    """The certified error of the whole cascade, in percent, with the check that makes its guarantee hold."""
    kept = count = 0
    for x, y in size.batches(row["dataset"]):
        count += len(x)
        kept += sum(not one.certified for one in certify_cascade(cascade, x, ball(row), y, slopes="shared"))
    return 100 * kept / count


def table_3_1(row: Row, size: Size) -> Values:
    """Standard and robust training."""
    cascade, more = trained(row, size, robust=row["robust"])
    return {**errors(cascade, row, ball(row), size), **more}


def table_3_3(row: Row, size: Size) -> Values:
    """The same network at several radii."""
    cascade, more = trained(row, size)
    return {**errors(cascade, row, ball(row), size), **more}


def table_3_4(row: Row, size: Size) -> Values:
    """Units and parameters; nothing is trained."""
    size = network_size(model_of(row), SHAPES[row["dataset"]])
    return {"hidden_units": size.units, "parameters": size.parameters}


def tables_3_5_and_3_7(row: Row, size: Size) -> Values:
    """Single networks and cascades; the single network is the first stage of the cascade."""
    projection = 50 if "50" in row["bounds_in_training"] else 0
    cascade, more = trained(row, size, projection=projection, stages=size.stages)
    found = errors(cascade, row, ball(row), size)
    single = {"single_robust_error": found["robust_bound_error"], "single_clean_error": found["clean_error"]}
    whole = {"cascade_robust_error": cascade_error(cascade, row, size)} if size.stages > 1 else {}
    return {**single, **whole, **more}


def table_3_6(row: Row, size: Size) -> Values:
    """Wide and deep networks."""
    cascade, more = trained(row, size, projection=50)
    return {**errors(cascade, row, ball(row), size), **more}


def figure_3_21(row: Row, size: Size) -> Values:
    """Exact bounds and random projections in training."""
    cascade, more = trained(row, size, projection=row["projections"])
    return {**errors(cascade, row, ball(row), size), **more}


def radii(table: Table, size: Size) -> Iterator[tuple[Row, Values]]:
    """Attacked and certified error against the radius, of a standard and a robust network."""
    for robust in (False, True):
        of = [row for row in table.rows if row["robust"] is robust]
        try:
            cascade, _ = trained({**of[0], "eps": 0.1}, size, robust=robust)
        except NotRun as reason:
            yield from ((row, {"not_run": str(reason)}) for row in of)
            continue
        for row in of:
            yield row, errors(cascade, row, ball(row), size)


_MNIST = {"dataset": "mnist", "model": "small", "norm": "linf"}
_ERRORS = ("clean_error", "fgsm_error", "pgd_error", "robust_bound_error")

#: Figures, whose numbers the thesis does not print.
FIGURES = {
    "figure-3.21": Table(
        "figure-3.21",
        "training with exact bounds and with random projections, 0 for exact",
        "3.5.2",
        ("dataset", "model", "eps", "norm", "projections"),
        _ERRORS,
        [{**_MNIST, "eps": 0.1, "projections": count} for count in (0, 10, 50)],
    ),
    "radii": Table(
        "radii",
        "errors against the radius, of standard training and of robust training at 0.1; no figure of the thesis",
        "3.3.1",
        ("dataset", "model", "norm", "robust", "eps"),
        _ERRORS,
        [
            {**_MNIST, "robust": robust, "eps": eps}
            for robust in (False, True)
            for eps in (0.0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2)
        ],
    ),
}

EXPERIMENTS: dict[str, Experiment] = {
    "3.1": by_row(table_3_1),
    "3.3": by_row(table_3_3),
    "3.4": by_row(table_3_4),
    "3.5": by_row(tables_3_5_and_3_7),
    "3.6": by_row(table_3_6),
    "3.7": by_row(tables_3_5_and_3_7),
    "figure-3.21": by_row(figure_3_21),
    "radii": radii,
}
