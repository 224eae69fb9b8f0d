"""Why the robust error of an attack may be too low, as its rows record it."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from autodual.attacks import Attack, Ensemble, Standard
from autodual.attacks.evaluation_mode import evaluation_mode
from autodual.evaluation import masking_signs
from autodual.perturbations import require_searchable
from autodual.specs.chosen_goal import goal_of
from autodual_cli.jobs.question import Question


def doubts(question: Question, attacks: Mapping[str, Attack], indices: torch.Tensor) -> list[str]:
    """The signs of a broken evaluation that some samples show, in words.

    Args:
        question: what is asked of them.
        attacks: those that were run.
        indices: of the samples.
    """
    subject = question.subject
    x, labels = subject.batch(indices)
    given = {"labels": None, "spec": None, **question.asked(labels)}
    with evaluation_mode(subject.run.function), torch.no_grad():
        goal = goal_of(subject.run.function(x), class_axis=subject.class_axis, **given)
        region = require_searchable(question.set_of(indices).at(x))
        return [sign.text for sign in masking_signs(subject.run.function, region, goal, _in_question(attacks))]


def _in_question(attacks: Mapping[str, Attack]) -> Attack | None:
    """The attack whose figure it is; None where it is the standard one, which there is no need to doubt."""
    every = tuple(attacks.values())
    if any(isinstance(attack, Standard) for attack in every):
        return None
    return every[0] if len(every) == 1 else Ensemble(every)
