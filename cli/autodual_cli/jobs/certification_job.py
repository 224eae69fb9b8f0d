"""What `autodual certify` does with a batch of samples, and how it shows the outcome."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import click
import torch

import autodual
from autodual.attacks import counterexamples
from autodual.certification.goal import chosen_goal
from autodual.certification.sample_classes import reached_classes
from autodual.exact.time_allowed import Clock
from autodual.policies import Effort, SlopePolicy
from autodual.report import certificate_row, summarise_certificates
from autodual.report.certificates import STATUSES
from autodual.report.execution_words import execution_line
from autodual_cli.jobs.attack_choice import chosen_attack
from autodual_cli.jobs.estimate_wording import estimate_entries, estimate_notice, projection_entries
from autodual_cli.jobs.question import Question, as_point
from autodual_cli.jobs.sample_loop import Job, Row, named
from autodual_cli.options.effort_options import SEARCHING_EFFORTS
from autodual_cli.options.option_groups import ProjectionOptions
from autodual_cli.output.summary_lines import context_entries, percent, show, slopes_words, time_entry

# Only runs with projections have this status, so the tables of others leave its line out.
_PROBABLE = "probably certified"
# Seconds that are as good as none.
_NO_TIME = 1e-9
# Samples whose rows are saved together where each of them may be searched for long.
_SEARCHED_AT_ONCE = 4


@dataclass(frozen=True)
class Limits:
    """An effort, None for none, and the seconds of its searches for each sample and of the whole run."""

    effort: Effort | None = None
    timeout: float | None = None
    total_timeout: float | None = None

    def settings(self) -> dict[str, Any]:
        """What documents record of it: what was asked for."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class Means:
    """What a certification may use.

    balls: whether balls around clean values take part. attack: its steps or its name. exact_seconds: for each sample
    that bounds leave open, or None for no exact decision. bracket: whether certified samples are attacked, too.
    deployed: whether only margins count that hold of a run.
    """

    slopes: SlopePolicy
    attack: int | str | None = None
    balls: bool = False
    deployed: bool = False
    exact_seconds: float | None = None
    bracket: bool = False
    limits: Limits = Limits()

    @property
    def keywords(self) -> dict[str, Any]:
        """What `certify` takes; an effort decides about slopes itself."""
        found = {name: value for name, value in asdict(self).items() if name != "limits"}
        if self.limits.effort is not None:
            found["slopes"] = None
        return found | {"attack": chosen_attack(self.attack), **asdict(self.limits)}

    def settings(self) -> dict[str, Any]:
        """What documents record of it; of what earlier versions did not have, only what was asked for."""
        asked = {
            "balls": self.balls,
            "deployed": self.deployed,
            "exact": self.exact_seconds is not None,
            "bracket": self.bracket,
        }
        return {
            "slopes": self.slopes,
            "attack_steps": None if isinstance(self.attack, str) else self.attack,
            **({"attack": self.attack} if isinstance(self.attack, str) else {}),
            **{name: True for name, wanted in asked.items() if wanted},
            **({} if self.exact_seconds is None else {"time_limit": self.exact_seconds}),
            **self.limits.settings(),
        }


def certification_job(question: Question, means: Means) -> Job:
    """Certify batch by batch."""
    chosen_attack(means.attack)  # raises where it is unknown
    total = means.limits.total_timeout
    asked = _Asked(question, means, Clock() if total is None else Clock(total))
    settings = {**question.subject.settings, **question.settings(), **asked.settings()}
    settings["provenance"]["files"] += question.files()
    most = _SEARCHED_AT_ONCE if means.limits.effort in SEARCHING_EFFORTS else None
    searches = means.attack is not None or most is not None or means.exact_seconds is not None
    steady = not searches and means.slopes != "optimized" and question.subject.projections is None
    return Job(
        "autodual.certify/1",
        settings,
        asked.rows,
        summarise_certificates,
        _headline,
        asked.refutes,
        most=most,
        at_once=partial(question.subject.at_once, question.chosen) if steady else None,
    )


@dataclass(frozen=True, eq=False)
class _Asked:
    """How the question is answered."""

    question: Question
    means: Means
    clock: Clock

    def rows(self, indices: torch.Tensor) -> list[Row]:
        """The rows of some samples."""
        question = self.question
        x, labels = question.subject.batch(indices)
        how = self.means.keywords
        if self.means.limits.total_timeout is not None:
            how["total_timeout"] = max(self.clock.left, _NO_TIME)
        dual, region, asked = question.subject.dual, question.set_of(indices), question.asked(labels)
        certificates = named(indices, lambda: autodual.certify(dual, x, region, **asked, **how))
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
        return {**self.means.settings(), "projection": _recorded(self.question.subject.projections)}


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


def bracket_entries(summary: dict[str, Any]) -> list[tuple[str, str]]:
    """Lines about what encloses the truth, and about exact decisions."""
    found, exact = summary.get("bracket"), summary.get("exact")
    lines = []
    if found is not None:
        words = f"{found['certified']} (certified) to {found['unbroken']} (hold out against the attack)"
        lines.append(("robust samples", words))
    if exact is not None:
        late = f", the time ran out for {exact['out_of_time']}" if exact["out_of_time"] else ""
        lines.append(("decided exactly", f"{exact['tried'] - exact['out_of_time']} of {exact['tried']} tried{late}"))
    return lines


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
        ("slopes", slopes_words(settings)),
        *projection_entries(settings),
        ("samples", str(summary["count"])),
        ("clean error", clean),
        ("certified error", f"{percent(summary['certified_error'])} (1 - certified / samples)"),
        *_position_entries(summary),
        *bracket_entries(summary),
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
