"""What `autodual certify` does with a batch of samples, and how it shows the outcome."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import click
import torch

import autodual
from autodual.attacks import ATTACKS, Attack, Pgd, counterexamples
from autodual.certification.certify import reached_classes
from autodual.certification.goal import chosen_goal
from autodual.named_choices import made_by_name
from autodual.perturbations import PerturbationSet
from autodual.policies import SlopePolicy
from autodual.report import certificate_row, summarise_certificates
from autodual.report.certificates import STATUSES
from autodual.report.execution_words import execution_line
from autodual.specs import LabelSpecification, Specification, parse_specification
from autodual_cli.jobs.estimate_wording import estimate_entries, estimate_notice, projection_entries
from autodual_cli.jobs.sample_loop import Job, Row
from autodual_cli.options.option_groups import BallOptions, ProjectionOptions
from autodual_cli.options.set_options import Boxes, ball_maker, shape_settings
from autodual_cli.output.provenance import digest_of, file_record
from autodual_cli.output.summary_lines import context_entries, percent, show, time_entry
from autodual_cli.subject.model_and_data import Subject
from autodual_cli.subject.specification_files import specification_records

# Only runs with projections have this status, so the tables of others leave its line out.
_PROBABLE = "probably certified"


def certification_job(
    subject: Subject,
    ball: BallOptions,
    *,
    eps: float | None,
    box: str | None,
    spec: str | None,
    slopes: SlopePolicy,
    attack: int | str | None,
    deployed: bool = False,
) -> Job:
    """Certify batch by batch."""
    known, axis = subject.dataset.y, subject.class_axis
    example = None if spec is None else parse_specification(spec, None if known is None else known[:1], axis)
    if example is None or isinstance(example, LabelSpecification):
        subject.require_classes()
    boxes = None if box is None else Boxes(box, subject.dataset.shape, len(subject.dataset))
    fixed = None if eps is None else ball_maker(ball)(eps)
    chosen_attack(attack)  # raises for one that there is not
    asked = _Asked(subject, fixed, boxes, spec, slopes, attack, deployed)
    settings = {
        **subject.settings,
        "set": boxes.describe() if fixed is None else fixed.describe(),  # type: ignore[union-attr]
        "eps": eps,
        **(shape_settings(ball) if boxes is None else {"norm": None, "domain": None}),
        "box": box,
        "specification_words": None if example is None else example.describe(),
        **asked.settings(),
    }
    settings["provenance"]["files"] += asked.files()
    return Job("autodual.certify/1", settings, asked.rows, summarise_certificates, _headline, asked.refutes)


def chosen_attack(choice: int | str | None) -> Attack | None:
    """The attack of so many steps, or of that name; raises InvalidInputError where there is none."""
    if isinstance(choice, str):
        return made_by_name(ATTACKS, choice, "attack")
    return None if choice is None else Pgd(steps=choice)


@dataclass(frozen=True, eq=False)
class _Asked:
    """What is asked of each sample. Either `fixed` is the set around all samples, or `boxes` holds one for each."""

    subject: Subject
    fixed: PerturbationSet | None
    boxes: Boxes | None
    spec: str | None
    slopes: SlopePolicy
    attack: int | str | None
    deployed: bool

    def set_of(self, indices: torch.Tensor) -> PerturbationSet:
        """The set around some samples."""
        if self.fixed is not None:
            return self.fixed
        assert self.boxes is not None
        return self.boxes.at(indices, self.subject.device)

    def goal(self, labels: torch.Tensor | None) -> Specification | None:
        """What `--spec` asks of samples with these labels."""
        return None if self.spec is None else parse_specification(self.spec, labels, self.subject.class_axis)

    def rows(self, indices: torch.Tensor) -> list[Row]:
        """The rows of some samples."""
        x, labels = self.subject.batch(indices)
        goal = {"labels": labels} if self.spec is None else {"spec": self.goal(labels)}
        attack = chosen_attack(self.attack)
        how: dict[str, Any] = {"slopes": self.slopes, "attack": attack, "deployed": self.deployed}
        certificates = autodual.certify(self.subject.dual, x, self.set_of(indices), **goal, **how)
        pairs = zip(indices.tolist(), certificates, strict=True)
        return [certificate_row(index, certificate) for index, certificate in pairs]

    def refutes(self, index: int, row: Row) -> bool:
        """Whether a row's counterexample is one, and reaches the class that the row says."""
        indices, dual = torch.tensor([index]), self.subject.dual
        x, labels = self.subject.batch(indices)
        points = _as_point(row["counterexample"], x)
        if points is None:
            return False
        given = self.goal(labels)
        property_ = chosen_goal(dual, dual.outputs(x), labels if given is None else None, given)
        reached = reached_classes(dual, property_, {0: points[0]}).get(0)
        told = row.get("reached", reached) == reached  # documents of earlier versions do not say
        return told and bool(counterexamples(dual.outputs, self.set_of(indices).at(x), property_, points)[0])

    def settings(self) -> dict[str, Any]:
        """What documents record of it."""
        recorded = {
            "box_sha256": None if self.boxes is None else self.boxes.sha256,
            "specification": self.spec,
            "specification_sha256": digest_of(specification_records(self.spec)),
            "slopes": self.slopes,
            "projection": _recorded(self.subject.projections),
            "attack_steps": None if isinstance(self.attack, str) else self.attack,
            **({"attack": self.attack} if isinstance(self.attack, str) else {}),
        }
        # Documents of earlier versions do not have it.
        return {**recorded, "deployed": True} if self.deployed else recorded

    def files(self) -> list[dict[str, Any]]:
        """The files that were read for this, as provenance records them."""
        ends = [] if self.boxes is None else zip(("box, lower", "box, upper"), self.boxes.paths, strict=True)
        return [*specification_records(self.spec), *(file_record(role, path) for role, path in ends)]


def _recorded(options: ProjectionOptions | None) -> dict[str, Any] | None:
    """The projection options as documents record them; they affect results, so a resumed run must have the same."""
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
    """Lines of the summary about positions of label maps, such as pixels; none for other labels."""
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
    """Print the summary table, and on standard error a notice if bounds had to be estimated."""
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
