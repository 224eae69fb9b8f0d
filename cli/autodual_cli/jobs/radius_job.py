"""What `autodual radius` does with a batch of samples, and how it shows the outcome."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

import autodual
from autodual.policies import RADIUS_RESOLUTION, SlopePolicy
from autodual.report import radius_row, summarise_radii
from autodual_cli.jobs.attack_choice import chosen_attack
from autodual_cli.jobs.sample_loop import Job, Row, named
from autodual_cli.options.option_groups import BallOptions
from autodual_cli.options.set_options import ball_maker, shape_settings
from autodual_cli.output.summary_lines import context_entries, show, slopes_words, time_entry
from autodual_cli.subject.model_and_data import Subject, recorded_labels

# How often a sample is bounded until its radius is known, about.
_BOUNDS = 10


def radius_job(
    subject: Subject,
    ball: BallOptions,
    *,
    max_radius: float,
    tolerance: float = RADIUS_RESOLUTION,
    slopes: SlopePolicy,
    balls: bool = False,
    attack: int | str | None = None,
) -> Job:
    """The job that finds certified radii, and attacks them if it is told how."""
    chosen_attack(attack)  # raises where it is unknown
    subject.require_classes()
    make_set = ball_maker(ball)

    def rows(indices: torch.Tensor) -> list[Row]:
        x, labels = subject.batch(indices)
        how: dict[str, Any] = {"max_radius": max_radius, "tolerance": tolerance, "slopes": slopes, "balls": balls}
        how["attack"] = chosen_attack(attack)
        found = named(indices, lambda: autodual.certified_radius(subject.dual, x, make_set, labels=labels, **how))
        pairs = zip(indices.tolist(), recorded_labels(labels, len(indices)), found.tolist(), strict=True)
        return [radius_row(index, label, radius) for index, label, radius in pairs]

    settings = {
        **subject.settings,
        "set": f"{make_set(max_radius).describe()}, or smaller",
        **shape_settings(ball),
        "max_radius": max_radius,
        "slopes": slopes,
        # Documents of earlier versions do not have these.
        **({} if tolerance == RADIUS_RESOLUTION else {"tolerance": tolerance}),
        **({"balls": True} if balls else {}),
        **({} if attack is None else {"attack" if isinstance(attack, str) else "attack_steps": attack}),
    }
    steady = attack is None and slopes != "optimized" and subject.projections is None
    return Job(
        "autodual.radius/1",
        settings,
        rows,
        summarise_radii,
        lambda summary: f"mean {summary['mean']:.4g}",
        at_once=partial(subject.at_once, make_set(max_radius), bounds=_BOUNDS) if steady else None,
    )


def show_radii(document: dict[str, Any]) -> None:
    """Print the summary table."""
    settings, summary = document["settings"], document["summary"]
    names = {"0": "smallest", "0.25": "lower quartile", "0.5": "median", "0.75": "upper quartile", "1": "largest"}
    entries = [
        *context_entries(settings),
        ("slopes", slopes_words(settings)),
        ("samples", str(summary["count"])),
        ("radius above 0", str(summary["certified_somewhere"])),
        ("mean radius", _number(summary["mean"])),
        *((f"{names[key]} radius", _number(value)) for key, value in summary["quantiles"].items()),
        time_entry(summary),
    ]
    show("Certified radii", entries)


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.6g}"
