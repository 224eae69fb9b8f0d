"""Chapter 3's learning curves: losses and errors after each epoch, of which the thesis prints pictures alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

import autodual
from autodual.certification import Cascade, certify_cascade
from autodual.network import DualNetwork
from autodual.perturbations import PerturbationSet
from autodual.train.recipe import Recipe
from autodual.train.training import Training
from thesis_tables.chapter_3_settings import ball, section_3_3, section_3_5
from thesis_tables.chapter_3_training import trained
from thesis_tables.size import Size
from thesis_tables.table import Experiment, NotRun, Row, Table, Values

_COLUMNS = (
    *("radius", "train_loss", "train_error", "train_robust_loss", "train_robust_error"),
    *("test_loss", "test_error", "test_robust_loss", "test_robust_error", "test_error_at_whole_radius"),
)


@dataclass
class Curve:
    """Measures a network after each epoch on as many training as test samples; nothing is chosen by it.

    Robust losses and errors are by exact bounds with shared slopes, at the radius of the epoch; the last column is the
    robust error on test samples at the whole radius. found: the figures of each epoch. size: says how many samples.
    """

    row: Row
    size: Size
    found: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, training: Training, stage: int, earlier: Sequence[nn.Module]) -> None:
        recipe, epoch = training.recipe, round(training.epoch)
        dual = exact_dual(training)
        train = [
            (training.samples.x[part], training.samples.y[part])
            for part in torch.arange(min(self.size.test, len(training.samples.x))).split(50)
        ]
        test, now = self.size.batches(self.row["dataset"]), recipe.ball_at(epoch - 0.5)
        figures = {"epoch": epoch, "radius": recipe.radius(epoch - 0.5) * recipe.set.eps}
        figures |= {f"train_{name}": value for name, value in measured(dual, train, now).items()}
        figures |= {f"test_{name}": value for name, value in measured(dual, test, now).items()}
        whole = recipe.set.ball(recipe.set.eps)
        figures["test_error_at_whole_radius"] = measured(dual, test, whole)["robust_error"]
        self.found.append(figures)


@dataclass
class CascadeCurve:
    """Measures a cascade after each epoch: its newest stage on samples that it trains on, the whole on test samples."""

    row: Row
    size: Size
    found: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, training: Training, stage: int, earlier: Sequence[nn.Module]) -> None:
        dual, epoch = exact_dual(training), round(training.epoch)
        x, y = training.samples.x[: self.size.test], training.samples.y[: self.size.test]
        train = [(x[part], y[part]) for part in torch.arange(len(x)).split(50)]
        cascade, region = Cascade([*map(autodual.compile_dual, earlier), dual]), ball(self.row)
        kept = count = 0
        for x, y in self.size.batches(self.row["dataset"]):
            count += len(x)
            kept += sum(not one.certified for one in certify_cascade(cascade, x, region, y, slopes="shared"))
        now = measured(dual, train, training.recipe.ball_at(epoch - 0.5))
        errors = {"train_robust_error": now["robust_error"], "test_robust_error": 100 * kept / count}
        self.found.append({"stage": stage, "epoch": epoch, **errors})


def exact_dual(training: Training) -> DualNetwork:
    """The dual network of the weights in training, by exact bounds."""
    training.dual.eval()
    return autodual.compile_dual(training.dual.model, training.samples.x[:1])


@torch.no_grad()
def measured(
    dual: DualNetwork, batches: Sequence[tuple[Tensor, Tensor]], region: PerturbationSet
) -> Mapping[str, float]:
    """Loss and error of samples, and the robust ones by the dual bound; errors in percent."""
    sums, count = dict.fromkeys(("loss", "error", "robust_loss", "robust_error"), 0.0), 0
    for x, y in batches:
        count += len(x)
        scores, margins = dual.outputs(x), dual.margins(x, y, region, slopes="shared", inner="dual", last="dual")
        others = torch.arange(margins.shape[1]) != y[:, None]
        sums["loss"] += float(functional.cross_entropy(scores, y, reduction="sum"))
        sums["robust_loss"] += float(functional.cross_entropy(-margins, y, reduction="sum"))
        sums["error"] += int((scores.argmax(1) != y).sum())
        sums["robust_error"] += int((~(margins > 0) & others).any(1).sum())
    return {name: value / max(count, 1) * (100 if "error" in name else 1) for name, value in sums.items()}


def curves(table: Table, size: Size) -> Iterator[tuple[Row, Values]]:
    """The curve of each row's training."""
    for row in table.wanted(size.only):
        curve = Curve(row, size)
        yield from _along(row, curve, size, lambda one: _recipe(one, size))


def cascade_curves(table: Table, size: Size) -> Iterator[tuple[Row, Values]]:
    """Errors as stages are added to a cascade."""
    stages = max(size.stages, 2)
    for row in table.wanted(size.only):
        curve = CascadeCurve(row, size)
        yield from _along(row, curve, size, lambda one: section_3_5(one, size, stages=stages))


def _recipe(row: Row, size: Size) -> Recipe:
    if "projections" in row:
        return section_3_5(row, size, projection=row["projections"])
    return section_3_3(row, size)


def _along(row: Row, curve: Curve | CascadeCurve, size: Size, recipe_of: Any) -> Iterator[tuple[Row, Values]]:
    """A line of the table for each epoch of the training that a row names."""
    try:
        _, more = trained(row, size, recipe_of, curve)
    except NotRun as reason:
        yield row, {"not_run": str(reason)}
        return
    for figures in curve.found:
        labels = {name: figures.pop(name) for name in ("stage", "epoch") if name in figures}
        yield {**row, **labels}, {**figures, "arch": more["arch"]}


def _table(name: str, title: str, section: str, rows: list[Row], labels: tuple[str, ...], columns: Any) -> Table:
    known = [{**row, **{label: "–" for label in labels if label not in row}} for row in rows]
    return Table(name, title, section, labels, columns, known)


_LINF = {"model": "small", "eps": 0.1, "norm": "linf"}
_PLACE, _SECTION = ("dataset", "model", "eps", "norm", "epoch"), "3.3.3"

FIGURES = {
    "figure-3.6": _table(
        "figure-3.6", "loss and error over epochs, MNIST", "3.3.1", [{"dataset": "mnist", **_LINF}], _PLACE, _COLUMNS
    ),
    "figure-3.12": _table(
        "figure-3.12", "curves, Fashion-MNIST", _SECTION, [{"dataset": "fashion-mnist", **_LINF}], _PLACE, _COLUMNS
    ),
    "figure-3.13": _table(
        "figure-3.13",
        "curves, HAR",
        _SECTION,
        [{"dataset": "har", "model": "har_500", "eps": 0.05, "norm": "linf"}],
        _PLACE,
        _COLUMNS,
    ),
    "figure-3.14": _table(
        "figure-3.14", "curves, SVHN", _SECTION, [{"dataset": "svhn", **_LINF, "eps": 0.01}], _PLACE, _COLUMNS
    ),
    "figure-3.18": _table(
        "figure-3.18",
        "robust error as stages are added to a cascade; MNIST is not in the figure",
        "3.5.1",
        [{"dataset": "cifar10", **_LINF, "eps": "2/255"}, {"dataset": "mnist", **_LINF}],
        ("dataset", "model", "eps", "norm", "stage", "epoch"),
        ("train_robust_error", "test_robust_error"),
    ),
    "figure-3.21": _table(
        "figure-3.21",
        "robust error over epochs by random projections in training, 0 for exact bounds",
        "3.5.2",
        [{"dataset": "mnist", **_LINF, "projections": count} for count in (10, 50, 0)],
        ("dataset", "model", "eps", "norm", "projections", "epoch"),
        _COLUMNS,
    ),
}

EXPERIMENTS: dict[str, Experiment] = {
    **dict.fromkeys(("figure-3.6", "figure-3.12", "figure-3.13", "figure-3.14", "figure-3.21"), curves),
    "figure-3.18": cascade_curves,
}
