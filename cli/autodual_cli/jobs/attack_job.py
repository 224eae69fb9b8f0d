"""What `autodual attack` does with a batch of samples, and how it shows the outcome."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch

from autodual.attacks import Attack, Robustness, counterexamples, evaluate
from autodual.attacks.attacked_batch import classes_of
from autodual.attacks.hunt import margins_at
from autodual.perturbations import require_searchable
from autodual.report import attack_row, summarise_attacks
from autodual.report.attacked import ATTACK_STATUSES
from autodual.report.comparison import SAME_RUN
from autodual.specs.chosen_goal import goal_of
from autodual_cli.jobs.attack_choice import chosen_attacks
from autodual_cli.jobs.attack_doubts import doubts
from autodual_cli.jobs.question import Question, as_point
from autodual_cli.jobs.sample_loop import Job, Row
from autodual_cli.output.summary_lines import context_entries, percent, show, time_entry
from autodual_cli.subject.model_and_data import recorded_labels


@dataclass(frozen=True)
class AttackChoices:
    """Which attacks, by their texts; `restarts` and `seed` of all that have them and do not say.

    save_points: where the points that break samples are written, or None. with_points: whether rows have them; they do
    wherever they are written. first: the run's first sample, whose row tells what makes the whole run doubtful.
    smallest: the radius at which samples are attacked first, growing by the factor `growth` until they break; None for
    the whole set at once.
    """

    attacks: tuple[int | str, ...]
    restarts: int | None = None
    seed: int | None = None
    save_points: Path | None = None
    with_points: bool = False
    first: int = 0
    smallest: float | None = None
    growth: float = 1.1

    def radii(self, eps: float | None) -> tuple[float, ...]:
        """The radii up to `eps` at which samples are attacked; none where the set is attacked as it is."""
        if eps is None or self.smallest is None:
            return ()
        found, radius = list[float](), self.smallest
        while radius < eps * (1 - 1e-6):
            found.append(radius)
            radius *= self.growth
        return (*found, eps)


def attack_job(question: Question, choices: AttackChoices) -> Job:
    """Attack batch by batch."""
    subject = question.subject
    attacks = chosen_attacks(choices.attacks, restarts=choices.restarts, seed=choices.seed)
    with_points, radii = choices.with_points or choices.save_points is not None, choices.radii(question.eps)
    asked = _Asked(question, attacks, choices.first, with_points, radii)
    settings = {
        **{key: value for key, value in subject.settings.items() if key != "memory_bytes"},  # of bounds
        **question.settings(),
        "attacks": list(choices.attacks),
        "restarts": choices.restarts,
        "seed": choices.seed,
        "smallest_eps": choices.smallest,
        "growth": choices.growth if radii else None,
        "together": subject.settings["batch_size"],
        "run": subject.run.words,
        "save_points": None if choices.save_points is None else str(choices.save_points),
    }
    settings["provenance"]["files"] += question.files()
    return Job(
        "autodual.attack/1",
        settings,
        asked.rows,
        partial(summarise_attacks, attacks=tuple(attacks), members=_members(question), radii=radii),
        _headline,
        asked.refutes,
        choices.save_points,
        asked.attend,
    )


def _members(question: Question) -> tuple[str, ...]:
    """The members of a union, in words; none of other sets."""
    members = question.chosen.members()
    return tuple(member.describe() for member in members) if len(members) > 1 else ()


@dataclass(eq=False)
class _Asked:
    """What is asked, by which attacks it is answered, and what is told meanwhile."""

    question: Question
    attacks: dict[str, Attack]
    first: int
    with_points: bool
    radii: tuple[float, ...]
    note: Callable[[str], None] = field(default=lambda words: None)

    def attend(self, note: Callable[[str], None]) -> None:
        """Tell from now on what is going on within a batch."""
        self.note = note

    def rows(self, indices: torch.Tensor) -> list[Row]:
        """The rows of some samples, which are attacked together."""
        x, labels = self.question.subject.batch(indices)
        run, set_ = self.question.subject.run, self.question.set_of(indices)
        found = evaluate(
            run.function,
            x,
            set_,
            attacks=self.attacks,
            class_axis=self.question.subject.class_axis,
            confirm=run.confirm,
            shares=[radius / self.radii[-1] for radius in self.radii] or (1.0,),
            progress=lambda done, total, words: self.note(words),
            **self.question.asked(labels),
        )
        rows = self._told(indices, x, labels, found)
        if int(indices[0]) == self.first:
            # Once in a run, and with the row of its first sample, so that a run that is resumed does not ask again.
            self.note("signs of a broken evaluation")
            rows[0]["warnings"] = doubts(self.question, self.attacks, indices)
        return rows

    def _told(
        self, indices: torch.Tensor, x: torch.Tensor, labels: torch.Tensor | None, found: Robustness
    ) -> list[Row]:
        rows = [attack_row(index, sample) for index, sample in zip(indices.tolist(), found, strict=True)]
        for row, sample in zip(rows, found, strict=True) if self.radii else ():
            row["radius"] = None if sample.share is None else dict(zip(found.shares, self.radii))[sample.share]
        for row, sample, original, label in zip(rows, found, x, recorded_labels(labels, len(x)), strict=True):
            if isinstance(label, int) and row["label"] is None:
                row["label"] = None if label < 0 else label  # a property of another kind has no label of its own
            if self.with_points and sample.broken:
                row["counterexample"] = sample.point.cpu().numpy()
                row["original"] = original.cpu().numpy()
        return rows

    def refutes(self, index: int, row: Row) -> bool:
        """Whether a row's counterexample is one where the network is deployed, and as the row describes it."""
        indices, run = torch.tensor([index]), self.question.subject.run
        x, labels = self.question.subject.batch(indices)
        point = as_point(row["counterexample"], x)
        if point is None:
            return False
        given = {"labels": None, "spec": None, **self.question.asked(labels)}
        goal = goal_of(run.function(x), class_axis=self.question.subject.class_axis, **given)
        region = require_searchable(self.question.set_of(indices).at(x))
        sizes = {"margin": float(margins_at(run.confirm, region, goal, point)), **distances(point - x)}
        told = all(_near(row.get(key), value) for key, value in sizes.items())
        told = told and row.get("reached") == classes_of(goal, run.confirm(point))[0]
        return told and bool(counterexamples(run.confirm, region, goal, point)[0])


def distances(change: torch.Tensor) -> dict[str, float]:
    """The length of a change `[1, *shape]` in each norm, by the row's key."""
    orders = {"distance_linf": torch.inf, "distance_l2": 2.0, "distance_l1": 1.0}
    return {key: float(torch.linalg.vector_norm(change.double(), order)) for key, order in orders.items()}


def _near(recorded: Any, now: float) -> bool:
    return type(recorded) in (int, float) and abs(recorded - now) <= SAME_RUN * (1 + abs(now))


def _headline(summary: dict[str, Any]) -> str:
    return f"robust error {percent(summary['robust_error'])}"


def show_attack(document: dict[str, Any]) -> None:
    """Print the summary table."""
    settings, summary = document["settings"], document["summary"]
    clean = percent(summary["clean_error"])
    rows = document["samples"]
    if rows and settings["specification"] is None and all(row["label"] is None for row in rows):
        clean += " (no labels: the predicted class stands in)"
    found = f"{percent(summary['robust_error'])} at least (misclassified or broken / samples)"
    entries = [
        *context_entries(settings),
        ("network run as", settings["run"]),
        ("property", settings["specification"] or "the label's score is the largest"),
        ("samples", str(summary["count"])),
        ("clean error", clean),
        ("robust error", found),
        *((f"error under {name}", _alone(one)) for name, one in summary["attacks"].items()),
        *((f"error in member {place}", f"{_alone(one)}: {words}") for place, (words, one) in _numbered(summary)),
        *((f"resist at {one['radius']:g}", percent(one["resist"])) for one in summary.get("curve", ())),
        *((status, f"{summary[status]}{_MEANINGS[status]}") for status in ATTACK_STATUSES),
        *(("warning", words) for words in summary["warnings"]),
        time_entry(summary),
    ]
    show("Attack", entries)


_MEANINGS = {
    "resists": ": nothing was found, which proves nothing",
    "broken": ": the network was run again on the point that breaks it",
    "misclassified": ": the property fails at the sample itself",
}


def _numbered(summary: dict[str, Any]) -> list[tuple[int, tuple[str, Any]]]:
    return list(enumerate(summary["members"].items(), 1))


def _alone(one: dict[str, Any]) -> str:
    return percent(one["error"])
