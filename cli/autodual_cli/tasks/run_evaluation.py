"""What `autodual report RUN` does: evaluate a trained network on a test set, and write the page and the numbers."""

from __future__ import annotations

import csv
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import torch
from torch import nn

import autodual
from autodual.attacks import Attack, Fgsm, Pgd, broken
from autodual.certification import Status
from autodual.certification.activation_sets import activation_sets
from autodual.errors import InvalidInputError
from autodual.files.writing import write_text
from autodual.perturbations import PerturbationSet
from autodual.report.evaluation import evaluation_document
from autodual.report.numbers import plural
from autodual.report.page import render_evaluation
from autodual.report.storage import file_sha256, write_document
from autodual.train.checkpoint import RunFolder
from autodual.train.recipe import SetSection, assemble
from autodual_cli.options.option_groups import BallOptions, DataOptions, EvaluationOptions, ModelOptions
from autodual_cli.options.set_options import ball_maker, ball_settings
from autodual_cli.output.targets import Target, check_targets, sole_writer_of
from autodual_cli.process.interruption import shielded
from autodual_cli.process.progress_bar import progress
from autodual_cli.subject.model_and_data import Subject, prepare

_LARGEST_FILTERS = 64
_METHOD = "dual bound, adaptive slopes, with intervals; rounding allowed for"


@dataclass(frozen=True, eq=False)
class _Setting:
    """The network, the data and the set it is examined over."""

    subject: Subject
    shape: BallOptions
    radius: float
    samples: int

    @property
    def ball(self) -> PerturbationSet:
        return ball_maker(self.shape)(self.radius)


def evaluate_run(options: EvaluationOptions) -> None:
    """Evaluate the best network of a run, show its errors, and write `report.json` and `report.html` into its folder.

    Raises:
        AutodualError: the folder holds no trained network or an earlier evaluation, there is no test set for it, or a
            file could not be written.
    """
    folder = RunFolder(options.run)
    target, page = folder.evaluation
    check_targets([target, page], [folder.network], overwrite=options.overwrite)
    with sole_writer_of([target, page]):
        _evaluate(options, folder, target, page)


def _evaluate(options: EvaluationOptions, folder: RunFolder, target: Path, page: Path) -> None:
    start = time.monotonic()
    setting = _setting(options, folder)
    with progress(setting.samples, 0, enabled=not options.quiet) as advance:
        found = _errors(setting, options, advance)
    radii = _radii(setting, options.radii if options.certificates else 0)
    summary = {"count": setting.samples, **found["summary"], "seconds": time.monotonic() - start}
    document = evaluation_document(
        _settings(setting, options),
        summary,
        log=_log(folder),
        radii=radii,
        activations=found["activations"],
        filters=_filters(setting.subject.model),
    )
    errors = {name: found["summary"][f"{name}_error"] for name in ("clean", "fgsm", "pgd", "certified")}
    words = ", ".join(f"{name} {error:.2%}" for name, error in errors.items() if error is not None)
    click.echo(f"Errors on {setting.samples} samples: {words}.")
    with shielded():
        Target(target, options.overwrite).write(write_document, document)
        told = render_evaluation(document, (str(target), file_sha256(target)))
        Target(page, options.overwrite).write(write_text, told)
    click.echo(f"Wrote {page} and {target}.")


def _setting(options: EvaluationOptions, folder: RunFolder) -> _Setting:
    if folder.holds_cascade:
        raise InvalidInputError(
            f"'{folder.path}' holds a cascade: report one of its stages, such as '{folder.stage(1).path}', and certify "
            f"the whole with `autodual certify --cascade {folder.cascade}`."
        )
    if not folder.network.is_file():
        raise InvalidInputError(
            f"'{folder.path}' holds no trained network; `autodual train --output` makes such folders."
        )
    described = folder.described()
    data = options.data or _test_set(str(described.get("recipe", {}).get("data", {}).get("train", "")))
    directory = options.data_dir or described.get("data_dir")
    model = ModelOptions(
        folder.network, options.arch, False, None, None, None, options.device, "float32", options.memory
    )
    chosen = DataOptions(data, None if directory is None else Path(directory), 0, options.limit, options.batch_size)
    subject = prepare(model, chosen)
    section = assemble(SetSection, subject.trained.get("set", {}))
    if subject.dataset.y is None:
        raise InvalidInputError(f"'{subject.dataset.name}' has no labels to evaluate by.")
    subject.require_classes()
    samples = len(subject.dataset) if options.limit is None else min(options.limit, len(subject.dataset))
    return _Setting(subject, BallOptions(section.norm, section.domain or None, section.options), section.eps, samples)


def _test_set(train: str) -> str:
    """The test set that belongs to a training set; raises InvalidInputError where its name does not tell."""
    family, colon, part = train.partition(":")
    if not colon or part != "train":
        raise InvalidInputError(
            "Say which samples to evaluate the network on with --data; not those it was trained on."
        )
    return f"{family}:test"


def _errors(setting: _Setting, options: EvaluationOptions, advance: Any) -> dict[str, Any]:
    """Error counts and activation sets, batch by batch."""
    subject, counts, certified = setting.subject, dict.fromkeys(("clean", "fgsm", "pgd"), 0), 0
    attacks: dict[str, Attack | None] = {"clean": None, "fgsm": Fgsm(), "pgd": _attack(options)}
    activations: dict[str, list[list[float]]] = {}
    for indices in torch.arange(setting.samples).split(options.batch_size):
        x, labels = subject.batch(indices)
        assert labels is not None
        region = setting.ball.at(x)
        for name, attack in attacks.items():
            counts[name] += int(broken(subject.dual.outputs, region, labels, attack).sum())
        if options.certificates:
            certificates = autodual.certify(subject.dual, x, setting.ball, labels)
            certified += sum(certificate.status is Status.CERTIFIED for certificate in certificates)
            for site, parts in activation_sets(subject.dual, x, setting.ball).items():
                activations.setdefault(site, []).extend(parts.tolist())
        advance(len(indices), f"certified {certified}" if options.certificates else f"broken {counts['pgd']}")
    errors = {f"{name}_error": count / setting.samples for name, count in counts.items()}
    bounded = {"certified": certified, "certified_error": 1 - certified / setting.samples}
    proved = bounded if options.certificates else dict.fromkeys(bounded)
    return {"summary": {**errors, **proved}, "activations": activations}


def _attack(options: EvaluationOptions) -> Pgd:
    return Pgd(steps=options.attack_steps, restarts=options.restarts)


def _radii(setting: _Setting, count: int) -> list[float]:
    """Certified radii of the first samples, at most four times the set's radius."""
    if not count or not setting.radius:
        return []
    x, labels = setting.subject.batch(torch.arange(min(count, setting.samples)))
    make, limit = ball_maker(setting.shape), 4 * setting.radius
    return autodual.certified_radius(setting.subject.dual, x, make, labels=labels, max_radius=limit).tolist()


def _filters(model: Any) -> Any:
    """The weights of the first convolution over one or three channels, or None where there is none."""
    for module in model.modules() if isinstance(model, nn.Module) else ():
        if isinstance(module, nn.Conv2d) and module.in_channels in (1, 3):
            return module.weight.detach()[:_LARGEST_FILTERS].tolist()
    return None


def _log(folder: RunFolder) -> list[dict[str, float]]:
    try:
        with folder.log.open(encoding="utf-8", newline="") as file:
            rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    except (OSError, ValueError, TypeError):
        return []
    return [row for row in rows if math.isfinite(row.get("epoch", math.nan))]


def _settings(setting: _Setting, options: EvaluationOptions) -> dict[str, Any]:
    return {
        **setting.subject.settings,
        **ball_settings(setting.shape, setting.radius, setting.ball),
        "method": _METHOD if options.certificates else "none",
        "attack": f"PGD, {plural(options.attack_steps, 'step')}, {plural(options.restarts, 'start')}; FGSM, one step",
        "radii": options.radii if options.certificates else 0,
    }
