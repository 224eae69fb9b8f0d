"""What `autodual certify` does with a batch of samples, and how it shows the outcome."""

from __future__ import annotations

from typing import Any

import click
import torch

import autodual
from autodual.attacks import Pgd, counterexamples
from autodual.certification.certify import reached_classes
from autodual.certification.goal import chosen_goal
from autodual.perturbations import PerturbationSet
from autodual.policies import SlopePolicy
from autodual.report import certificate_row, summarise_certificates
from autodual.report.certificates import STATUSES
from autodual.report.execution import execution_line
from autodual.specs import LabelSpecification, parse_specification
from autodual_cli.estimates import estimate_entries, estimate_notice, projection_entries
from autodual_cli.options import BallOptions, ProjectionOptions
from autodual_cli.provenance import digest_of, file_record
from autodual_cli.run import Job, Row
from autodual_cli.sets import Boxes, ball_maker
from autodual_cli.specification_files import specification_records
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
    known, axis = subject.dataset.y, subject.class_axis
    example = None if spec is None else parse_specification(spec, None if known is None else known[:1], axis)
    words = None if example is None else example.describe()
    if example is None or isinstance(example, LabelSpecification):
        subject.require_classes()
    goal_files = specification_records(spec)
    adversary = None if attack is None else Pgd(steps=attack)

    def set_of(indices: torch.Tensor) -> PerturbationSet:
        return fixed if fixed is not None else boxes.at(indices, subject.device)  # type: ignore[union-attr]

    def rows(indices: torch.Tensor) -> list[Row]:
        x, labels = subject.batch(indices)
        goal = {"labels": labels} if spec is None else {"spec": parse_specification(spec, labels, axis)}
        how: dict[str, Any] = {"slopes": slopes, "attack": adversary, "deployed": deployed}
        certificates = autodual.certify(subject.dual, x, set_of(indices), **goal, **how)
        pairs = zip(indices.tolist(), certificates, strict=True)
        return [certificate_row(index, certificate) for index, certificate in pairs]

    def refutes(index: int, row: Row) -> bool:
        indices = torch.tensor([index])
        x, labels = subject.batch(indices)
        points = _as_point(row["counterexample"], x)
        if points is None:
            return False

        def function(inputs: torch.Tensor) -> torch.Tensor:
            return subject.dual.outputs(inputs)

        given = None if spec is None else parse_specification(spec, labels, axis)
        property_ = chosen_goal(subject.dual, function(x), None if given else labels, given)
        reached = reached_classes(subject.dual, property_, {0: points[0]}).get(0)
        told = row.get("reached", reached) == reached  # documents of earlier versions do not say
        return told and bool(counterexamples(function, set_of(indices).at(x), property_, points)[0])

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


def _position_entries(summary: dict[str, Any]) -> list[tuple[str, str]]:
    """What is known of the positions of label maps, such as pixels; nothing where there are none."""
    found = summary.get("positions")
    if found is None:
        return []
    return [
        ("positions", f"{found['counted']:,} (pixels or steps), those to be ignored apart"),
        ("their clean error", percent(found["clean_error"])),
        ("their certified error", f"{percent(found['certified_error'])} (1 - certified / positions)"),
        ("positions certified", f"{found['certified']:,}; a sample is certified where all of its are"),
    ]


def show_certification(document: dict[str, Any]) -> None:
    """The summary table, on standard output, and on standard error what was estimated against expectation."""
    settings, summary = document["settings"], document["summary"]
    projected = settings["projection"] is not None
    clean = percent(summary["clean_error"])
    if summary["clean_error"] is None and settings["specification"] is None:
        clean += " (no labels: the predicted class stands in)"
    if "positions" in summary:
        clean += " (a sample is wrong where any position is)"
    winner = "the label's score is the largest" + (" at every position" if "positions" in summary else "")
    entries = [
        *context_entries(settings),
        ("property", settings["specification"] or winner),
        ("slopes", settings["slopes"]),
        *projection_entries(settings),
        ("samples", str(summary["count"])),
        ("clean error", clean),
        ("certified error", f"{percent(summary['certified_error'])} (1 - certified / samples)"),
        *_position_entries(summary),
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
