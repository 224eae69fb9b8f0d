"""What `autodual certify --cascade` does with a batch of samples, and how it shows the outcome."""

from __future__ import annotations

from functools import partial
from typing import Any

import click
import torch

import autodual
from autodual.report import cascade_row, summarise_cascade
from autodual.report.cascades import GUARANTEE
from autodual.report.execution_words import execution_line
from autodual_cli.jobs.attack_choice import chosen_attack
from autodual_cli.jobs.certification_job import Means, bracket_entries
from autodual_cli.jobs.question import as_point
from autodual_cli.jobs.sample_loop import Job, Row, named
from autodual_cli.options.option_groups import BallOptions
from autodual_cli.options.set_options import ball_maker, ball_settings
from autodual_cli.output.summary_lines import context_entries, percent, show, slopes_words, time_entry
from autodual_cli.subject.model_and_data import Subject


def check_cascade_options(others: dict[str, Any]) -> None:
    """Raise UsageError if an option was given that has no meaning for a cascade; `others` has their values by name."""
    for name, value in others.items():
        if value is not None:
            raise click.UsageError(
                f"--cascade certifies classes over balls by exact bounds, so it does not go with {name}."
            )


def cascade_job(subject: Subject, ball: BallOptions, *, eps: float, means: Means) -> Job:
    """The job that certifies samples with a cascade, and attacks them where there is an attack."""
    subject.require_classes()
    region, attack = ball_maker(ball)(eps), chosen_attack(means.attack)
    how: dict[str, Any] = {"slopes": means.slopes, "balls": means.balls, "deployed": means.deployed}

    def rows(indices: torch.Tensor) -> list[Row]:
        x, labels = subject.batch(indices)
        found = autodual.certify_cascade(subject.cascade, x, region, labels, **how)
        if attack is not None:
            certificates = found
            found = named(
                indices, lambda: autodual.attack_cascade(subject.cascade, x, region, certificates, attack, **how)
            )
        return [cascade_row(index, one) for index, one in zip(indices.tolist(), found, strict=True)]

    def refutes(index: int, row: Row) -> bool:
        """Whether the cascade labels a row's counterexample wrongly, and the set around the sample contains it."""
        x, labels = subject.batch(torch.tensor([index]))
        point = as_point(row["counterexample"], x)
        if point is None or labels is None or not bool(region.at(x).contains(point)[0]):
            return False
        (there,) = autodual.certify_cascade(subject.cascade, point, region, **how)
        return there.predicted not in (None, int(labels[0]))

    settings = {**subject.settings, **ball_settings(ball, eps, region), **means.settings()}
    if attack is None:
        del settings["attack_steps"]  # as in documents of versions that attacked no cascades
    steady = attack is None and means.slopes != "optimized"
    at_once = partial(subject.at_once, region) if steady else None
    return Job("autodual.cascade/1", settings, rows, summarise_cascade, _headline, refutes, at_once=at_once)


def _headline(summary: dict[str, Any]) -> str:
    return f"certified {percent(1 - summary['certified_error'])}"


def show_cascade(document: dict[str, Any]) -> None:
    """Print the summary table."""
    settings, summary = document["settings"], document["summary"]
    clean = percent(summary["clean_error"])
    if summary["clean_error"] is None:
        clean += " (no labels: whichever is certified counts)"
    stages = range(1, settings["stages"] + 1)
    by_stage = ", ".join(f"{summary['by_stage'].get(str(stage), 0)} by stage {stage}" for stage in stages)
    entries = [
        *context_entries(settings),
        ("stages", str(settings["stages"])),
        ("guarantee", GUARANTEE),
        ("slopes", slopes_words(settings)),
        ("samples", str(summary["count"])),
        ("clean error", clean),
        ("certified error", f"{percent(summary['certified_error'])} (1 - certified / samples)"),
        ("certified", str(summary["certified"])),
        ("unknown", f"{summary['unknown']}: no label ({summary['disagreements']} because stages disagree)"),
        ("misclassified", f"{summary['misclassified']}: certified as another class than the label"),
        ("labels certified", by_stage),
        *bracket_entries(summary),
        ("margins", execution_line(document["certificates"], deployed=settings.get("deployed", False))),
        time_entry(summary),
    ]
    show("Certification with a cascade", entries)
