"""What `autodual certify` does with a batch of samples, and how it shows the outcome."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import click
import torch

import autodual
from autodual.attacks import counterexamples
from autodual.certification.certify import reached_classes
from autodual.certification.goal import chosen_goal
from autodual.policies import SlopePolicy
from autodual.report import certificate_row, summarise_certificates
from autodual.report.certificates import STATUSES
from autodual.report.execution_words import execution_line
from autodual_cli.jobs.attack_choice import chosen_attack
from autodual_cli.jobs.estimate_wording import estimate_entries, estimate_notice, projection_entries
from autodual_cli.jobs.question import Question, as_point
from autodual_cli.jobs.sample_loop import Job, Row
from autodual_cli.options.option_groups import ProjectionOptions
from autodual_cli.output.summary_lines import context_entries, percent, show, time_entry

# Only runs with projections have this status, so the tables of others leave its line out.
_PROBABLE = "probably certified"


def certification_job(
    question: Question, *, slopes: SlopePolicy, attack: int | str | None, deployed: bool = False
) -> Job:
    """Certify batch by batch."""
    chosen_attack(attack)  # raises for one that there is not
    asked = _Asked(question, slopes, attack, deployed)
    settings = {**question.subject.settings, **question.settings(), **asked.settings()}
    settings["provenance"]["files"] += question.files()
    return Job("autodual.certify/1", settings, asked.rows, summarise_certificates, _headline, asked.refutes)


@dataclass(frozen=True, eq=False)
class _Asked:
    """How the question is answered."""

    question: Question
    slopes: SlopePolicy
    attack: int | str | None
    deployed: bool

    def rows(self, indices: torch.Tensor) -> list[Row]:
        """The rows of some samples."""
        question = self.question
        x, labels = question.subject.batch(indices)
        attack = chosen_attack(self.attack)
        how: dict[str, Any] = {"slopes": self.slopes, "attack": attack, "deployed": self.deployed}
        certificates = autodual.certify(
            question.subject.dual, x, question.set_of(indices), **question.asked(labels), **how
        )
        pairs = zip(indices.tolist(), certificates, strict=True)
        return [certificate_row(index, certificate) for index, certificate in pairs]

    def refutes(self, index: int, row: Row) -> bool:
        """Whether a row's counterexample is one, and reaches the class that the row says."""
        indices, dual = torch.tensor([index]), self.question.subject.dual
        x, labels = self.question.subject.batch(indices)
        points = as_point(row["counterexample"], x)
        if points is None:
            return False
        given = self.question.goal(labels)
        property_ = chosen_goal(dual, dual.outputs(x), labels if given is None else None, given)
        reached = reached_classes(dual, property_, {0: points[0]}).get(0)
        told = row.get("reached", reached) == reached  # documents of earlier versions do not say
        region = self.question.set_of(indices).at(x)
        return told and bool(counterexamples(dual.outputs, region, property_, points)[0])

    def settings(self) -> dict[str, Any]:
        """What documents record of it."""
        recorded = {
            "slopes": self.slopes,
            "projection": _recorded(self.question.subject.projections),
            "attack_steps": None if isinstance(self.attack, str) else self.attack,
            **({"attack": self.attack} if isinstance(self.attack, str) else {}),
        }
        # Documents of earlier versions do not have it.
        return {**recorded, "deployed": True} if self.deployed else recorded


def _recorded(options: ProjectionOptions | None) -> dict[str, Any] | None:
    """The projection options as documents record them; they affect results, so a resumed run must have the same."""
    if options is None:
        return None
    return {"dim": options.projection, "confidence": options.confidence, "seed": options.seed}


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
