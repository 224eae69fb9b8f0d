"""What `autodual certify` does with a batch of samples, and how it shows the outcome."""

from __future__ import annotations

from typing import Any

import click
import torch

import autodual
from autodual.attacks import Pgd, counterexamples
from autodual.perturbations import PerturbationSet
from autodual.policies import SlopePolicy
from autodual.report import certificate_row, summarise_certificates
from autodual.report.certificates import STATUSES
from autodual.report.execution import execution_line
from autodual.specs import ClassMargin, parse_specification
from autodual_cli.estimates import estimate_entries, estimate_notice, projection_entries
from autodual_cli.options import BallOptions, ProjectionOptions
from autodual_cli.provenance import file_record
from autodual_cli.run import Job, Row
from autodual_cli.sets import Boxes, ball_maker
from autodual_cli.specification_files import digest_of, specification_records
from autodual_cli.subject import Subject
from autodual_cli.tables import context_entries, percent, show, time_entry

# Only runs with projections give this one; the tables of others have no line for it.
_PROBABLE = "probably certified"


def certification_job(
    subject: Subject,
    ball: BallOptions,
    *,
    eps: float | None,
    box: str | None,
    spec: str | None,
    slopes: SlopePolicy,
    attack: int | None,
    deployed: bool = False,
) -> Job:
    """Certify batch by batch."""
    boxes = None if box is None else Boxes(box, subject.dataset.shape, len(subject.dataset))
    fixed = None if eps is None else ball_maker(ball)(eps)
    words = None
    if spec is not None:
        words = parse_specification(spec, None if subject.dataset.y is None else subject.dataset.y[:1]).describe()
    goal_files = specification_records(spec)
    adversary = None if attack is None else Pgd(steps=attack)

    def set_of(indices: torch.Tensor) -> PerturbationSet:
        return fixed if fixed is not None else boxes.at(indices, subject.device)  # type: ignore[union-attr]

    def rows(indices: torch.Tensor) -> list[Row]:
        x, labels = subject.batch(indices)
        goal = {"labels": labels} if spec is None else {"spec": parse_specification(spec, labels)}
        how: dict[str, Any] = {"slopes": slopes, "attack": adversary, "deployed": deployed}
        certificates = autodual.certify(subject.dual, x, set_of(indices), **goal, **how)
        pairs = zip(indices.tolist(), certificates, strict=True)
        return [certificate_row(index, certificate) for index, certificate in pairs]

    def refutes(index: int, point: Any) -> bool:
        indices = torch.tensor([index])
        x, labels = subject.batch(indices)
        points = _as_point(point, x)
        if points is None:
            return False

        def function(inputs: torch.Tensor) -> torch.Tensor:
            return subject.dual.outputs(inputs).flatten(1)

        if spec is not None:
            property_ = parse_specification(spec, labels)
        else:
            property_ = ClassMargin(function(x).argmax(1) if labels is None else labels)
        return bool(counterexamples(function, set_of(indices).at(x), property_, points)[0])

    settings = {
        **subject.settings,
        "set": boxes.describe() if fixed is None else fixed.describe(),  # type: ignore[union-attr]
        "eps": eps,
        "norm": None if eps is None else ball.norm_name,
        "domain": None if ball.domain is None else list(ball.domain),
        "box": box,
        "box_sha256": None if boxes is None else boxes.sha256,
        "specification": spec,
        "specification_words": words,
        "specification_sha256": digest_of(goal_files),
        "slopes": slopes,
        "projection": _recorded(subject.projections),
        "attack_steps": attack,
    }
    if deployed:  # else documents are those of versions that did not know of it
        settings["deployed"] = True
    settings["provenance"]["files"] += goal_files
    if boxes is not None:
        settings["provenance"]["files"] += [
            file_record(role, path) for role, path in zip(("box, lower", "box, upper"), boxes.paths, strict=True)
        ]
    return Job("autodual.certify/1", settings, rows, summarise_certificates, _headline, refutes)


def _recorded(options: ProjectionOptions | None) -> dict[str, Any] | None:
    """The projections as documents have them: all of them decide results, so a resumed run must have the same."""
    if options is None:
        return None
    return {"dim": options.projection, "confidence": options.confidence, "seed": options.seed}


def _as_point(point: Any, x: torch.Tensor) -> torch.Tensor | None:
    """A recorded point in the form of x `[1, *shape]`, or None where it is no such point."""
    try:
        points = torch.tensor([point], dtype=torch.float64).to(x)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return None
    return points if points.shape == x.shape and bool(points.isfinite().all()) else None


def _headline(summary: dict[str, Any]) -> str:
    certain = f"certified {percent(1 - summary['certified_error'])}"
    if not summary["estimated"]:
        return certain
    return f"{certain}, probably {percent(summary['probably certified'] / summary['count'])}"


def show_certification(document: dict[str, Any]) -> None:
    """The summary table, on standard output, and on standard error what was estimated against expectation."""
    settings, summary = document["settings"], document["summary"]
    projected = settings["projection"] is not None
    clean = percent(summary["clean_error"])
    if summary["clean_error"] is None and settings["specification"] is None:
        clean += " (no labels: the predicted class stands in)"
    entries = [
        *context_entries(settings),
        ("property", settings["specification"] or "the label's score is the largest"),
        ("slopes", settings["slopes"]),
        *projection_entries(settings),
        ("samples", str(summary["count"])),
        ("clean error", clean),
        ("certified error", f"{percent(summary['certified_error'])} (1 - certified / samples)"),
        *((status, str(summary[status])) for status in STATUSES if summary[status] or status != _PROBABLE or projected),
        ("margins", execution_line(document["certificates"], deployed=settings.get("deployed", False))),
        *estimate_entries(settings, summary),
        time_entry(summary),
    ]
    entries += [("assumes", assumption) for assumption in summary["assumptions"]]
    show("Certification", entries)
    notice = estimate_notice(document)
    if notice is not None:
        click.echo(notice, err=True)
