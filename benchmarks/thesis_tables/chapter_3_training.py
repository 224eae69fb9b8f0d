"""Trains chapter 3's networks and cascades, and measures their errors."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

import autodual
from autodual.attacks import Attack, Fgsm, Pgd, broken
from autodual.certification import Cascade, CascadeCertificate, certify_cascade
from autodual.errors import DataError
from autodual.network import DualNetwork
from autodual.perturbations import PerturbationSet
from autodual.train.checkpoint import RunFolder
from autodual.train.recipe import Recipe
from autodual.train.samples import split
from autodual.train.stages import Stages
from autodual.train.training import Training
from thesis_tables.chapter_3_settings import ball
from thesis_tables.networks import model_of
from thesis_tables.size import Size
from thesis_tables.table import NotRun, Row

#: Is told of each epoch's end: the training, the number of its stage, and the networks of the stages before it.
Watch = Callable[[Training, int, Sequence[nn.Module]], None]


def train(row: Row, recipe: Recipe, size: Size, watch: Watch | None = None) -> tuple[Cascade, list[dict[str, Any]]]:
    """The trained stages, and the figures of every epoch."""
    dataset = size.dataset(f"{row['dataset']}:train")
    with tempfile.TemporaryDirectory() as place:
        stages = Stages(recipe, split(dataset, recipe.data, recipe.seed), RunFolder(Path(place)))
        log: list[dict[str, Any]] = []
        models: list[nn.Module] = []
        for number, training in enumerate(stages, start=1):
            while not training.done:
                training.step()
                if watch is not None and training.progress.step % training.steps_an_epoch == 0:
                    watch(training, number, models)
            log += [{"stage": number, **line} for line in training.progress.rows]
            models.append(autodual.load_model(training.folder.network))  # type: ignore[arg-type]
        kept = len(stages.files) if recipe.stages > 1 else 1
    return Cascade([autodual.compile_dual(model) for model in models[:kept]]), log


def possible(row: Row, size: Size) -> Row:
    """The row with the network that is trained: its own, or the substitute if it is too large.

    Raises NotRun if both are too large, or the data are missing.
    """
    counts = {}
    for model in (row["model"], *([size.arch] if size.arch else ())):
        one = {**row, "model": model}
        counts[model] = sum(value.numel() for value in model_of(one).parameters())
        if counts[model] <= size.largest:
            row = one
            break
    else:
        raise NotRun(", ".join(f"{model} has {count:,} parameters" for model, count in counts.items()))
    try:
        size.dataset(f"{row['dataset']}:train"), size.dataset(f"{row['dataset']}:test")
    except DataError:
        raise NotRun(f"no files of {row['dataset']} in --data-dir") from None
    return row


def trained(
    row: Row, size: Size, recipe_of: Callable[[Row], Recipe], watch: Watch | None = None
) -> tuple[Cascade, dict[str, Any]]:
    """A trained network or cascade, with the time that it took and its log."""
    recipe, start = recipe_of(possible(row, size)), time.process_time()
    cascade, log = train(row, recipe, size, watch)
    return cascade, {"arch": recipe.network.arch, "cpu_seconds": time.process_time() - start, "log": log}


def errors(network: DualNetwork, row: Row, region: PerturbationSet, size: Size) -> dict[str, float]:
    """Errors of a network in percent: clean, FGSM, PGD (20 steps), and certified.

    The certified error is by the thesis' bound: exact, with shared slopes.
    """
    attacks: Mapping[str, Attack | None] = {"clean_error": None, "fgsm_error": Fgsm(), "pgd_error": Pgd(20)}
    found, count = dict.fromkeys((*attacks, "robust_bound_error"), 0), 0
    for x, y in size.batches(row["dataset"]):
        count += len(x)
        for name, attack in attacks.items():
            found[name] += int(broken(network.outputs, region.at(x), y, attack).sum())
        certificates = autodual.certify(network, x, region, y, slopes="shared")
        found["robust_bound_error"] += sum(not one.certified for one in certificates)
    return {name: 100 * value / count for name, value in found.items()}


def cascade_errors(cascade: Cascade, row: Row, size: Size) -> dict[str, Any]:
    """Certified and clean error of a whole cascade in percent, with the check that makes its guarantee hold."""
    kept = wrong = count = 0
    for x, y in size.batches(row["dataset"]):
        count += len(x)
        for one, label in zip(certify_cascade(cascade, x, ball(row), y, slopes="shared"), y.tolist()):
            kept += not one.certified
            wrong += decision(one) != label
    return {
        "cascade_robust_error": 100 * kept / count,
        "cascade_clean_error": 100 * wrong / count,
        "stages": len(cascade.stages),
    }


def decision(found: CascadeCertificate) -> int | None:
    """The class that a cascade decides for: its label, or that of the stage with the largest margin where it abstains.

    The latter is the released code's rule, by which the thesis counts clean errors.
    """
    if found.predicted is not None:
        return found.predicted
    return max(found.certificates, key=lambda one: one.margin).predicted
