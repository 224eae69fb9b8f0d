"""The job that a document's settings describe, by the document's schema."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

from autodual.errors import DataError
from autodual.policies import RADIUS_RESOLUTION, SlopePolicy
from autodual_cli.jobs.attack_job import AttackChoices, attack_job
from autodual_cli.jobs.cascade_job import cascade_job
from autodual_cli.jobs.certification_job import Limits, Means, certification_job
from autodual_cli.jobs.detection_job import detection_job
from autodual_cli.jobs.question import Question
from autodual_cli.jobs.radius_job import radius_job
from autodual_cli.jobs.sample_loop import Job
from autodual_cli.options.set_size import has_radius
from autodual_cli.replaying.recorded_settings import Recorded
from autodual_cli.subject.model_and_data import Subject


def _question(subject: Subject, recorded: Recorded) -> Question:
    ball = recorded.ball()
    eps = recorded.number("eps") if has_radius(ball) else None
    return Question.of(subject, ball, eps=eps, spec=recorded.value("specification", str, optional=True))


def _certification(subject: Subject, recorded: Recorded) -> Job:
    return certification_job(_question(subject, recorded), _means(recorded))


def _means(recorded: Recorded) -> Means:
    return Means(
        _slopes(recorded),
        _attack_choice(recorded),
        balls=_balls(recorded),
        deployed=recorded.value("deployed", bool, optional=True) is True,
        exact_seconds=recorded.exact_seconds(),
        bracket=recorded.value("bracket", bool, optional=True) is True,
        limits=_limits(recorded),
    )


def _limits(recorded: Recorded) -> Limits:
    timeout, total = (recorded.value(name, int, float, optional=True) for name in ("timeout", "total_timeout"))
    return Limits(recorded.effort(), timeout, total)


def _attack(subject: Subject, recorded: Recorded) -> Job:
    choices = AttackChoices(
        recorded.attacks(),
        recorded.value("restarts", int, optional=True),
        recorded.value("seed", int, optional=True),
        with_points=recorded.value("save_points", str, optional=True) is not None,
        first=recorded.value("skip", int),
        smallest=recorded.value("smallest_eps", float, optional=True),
        growth=recorded.value("growth", float, optional=True) or 1.1,
    )
    return attack_job(_question(subject, recorded), choices)


def _cascade(subject: Subject, recorded: Recorded) -> Job:
    return cascade_job(subject, recorded.ball(), eps=recorded.number("eps"), means=_means(recorded))


def _radius(subject: Subject, recorded: Recorded) -> Job:
    tolerance = recorded.value("tolerance", float, int, optional=True)
    return radius_job(
        subject,
        recorded.ball(),
        max_radius=recorded.number("max_radius"),
        tolerance=RADIUS_RESOLUTION if tolerance is None else tolerance,
        slopes=_slopes(recorded),
        balls=_balls(recorded),
        attack=_attack_choice(recorded),
    )


def _attack_choice(recorded: Recorded) -> int | str | None:
    """An attack by its name or its number of steps; None where there was none."""
    return recorded.value("attack", str, optional=True) or recorded.value("attack_steps", int, optional=True)


def _detection(subject: Subject, recorded: Recorded) -> Job:
    return detection_job(subject, recorded.ball(), eps=recorded.number("eps"), slopes=_slopes(recorded))


JOBS: dict[str, Callable[[Subject, Recorded], Job]] = {
    "autodual.certify/1": _certification,
    "autodual.cascade/1": _cascade,
    "autodual.radius/1": _radius,
    "autodual.detect/1": _detection,
    "autodual.attack/1": _attack,
}


def _slopes(recorded: Recorded) -> SlopePolicy:
    slopes = recorded.value("slopes", str)
    known = get_args(SlopePolicy)
    if slopes not in known:
        raise DataError(f"The document's slopes {slopes!r} are unknown; this version knows {', '.join(known)}.")
    return slopes


def _balls(recorded: Recorded) -> bool:
    return recorded.value("balls", bool, optional=True) is True
