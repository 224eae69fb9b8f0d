"""What `autodual detect` does with a batch of samples, and how it shows the outcome."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

import autodual
from autodual.policies import SlopePolicy
from autodual.report import detection_row, summarise_detections
from autodual_cli.jobs.sample_loop import Job, Row
from autodual_cli.options.option_groups import BallOptions
from autodual_cli.options.set_options import ball_maker, ball_settings
from autodual_cli.output.summary_lines import context_entries, percent, show, time_entry
from autodual_cli.subject.model_and_data import Subject, recorded_labels


def detection_job(subject: Subject, ball: BallOptions, *, eps: float, slopes: SlopePolicy) -> Job:
    """The job that flags samples."""
    subject.require_classes()
    region = ball_maker(ball)(eps)

    def rows(indices: torch.Tensor) -> list[Row]:
        x, labels = subject.batch(indices)
        flags = autodual.detect(subject.dual, x, region, slopes=slopes)
        pairs = zip(indices.tolist(), recorded_labels(labels, len(indices)), flags.tolist(), strict=True)
        return [detection_row(index, label, flagged) for index, label, flagged in pairs]

    settings = {
        **subject.settings,
        **ball_settings(ball, eps, region),
        "slopes": slopes,
    }
    steady = slopes != "optimized" and subject.projections is None
    at_once = partial(subject.at_once, region) if steady else None
    return Job("autodual.detect/1", settings, rows, summarise_detections, _headline, at_once=at_once)


def _headline(summary: dict[str, Any]) -> str:
    return f"flagged {percent(summary['flagged_fraction'])}"


def show_detections(document: dict[str, Any]) -> None:
    """Print the summary table."""
    settings, summary = document["settings"], document["summary"]
    entries = [
        *context_entries(settings),
        ("slopes", settings["slopes"]),
        ("samples", str(summary["count"])),
        ("flagged", f"{summary['flagged']} ({percent(summary['flagged_fraction'])}): may be adversarial"),
        ("not flagged", f"{summary['count'] - summary['flagged']}: no input of another class within the set"),
        time_entry(summary),
    ]
    show("Detection", entries)
