"""What certify and attack ask of each sample: the set around it, and the property that should hold in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from autodual.perturbations import PerturbationSet
from autodual.specs import AvoidedClass, LabelSpecification, Specification, parse_specification
from autodual_cli.options.option_groups import BallOptions
from autodual_cli.options.set_options import ball_maker, box_settings, set_files, shape_settings
from autodual_cli.output.provenance import digest_of
from autodual_cli.subject.model_and_data import Subject
from autodual_cli.subject.specification_files import specification_records


@dataclass(frozen=True, eq=False)
class Question:
    """chosen: the set, for this data set. eps: its radius, if it has one. spec: the property, or None."""

    subject: Subject
    ball: BallOptions
    eps: float | None
    chosen: PerturbationSet
    spec: str | None

    @classmethod
    def of(cls, subject: Subject, ball: BallOptions, *, eps: float | None, spec: str | None) -> Question:
        """The question that the options ask.

        Raises:
            AutodualError: they describe no set or property, or the network's outputs have no classes to ask about.
        """
        chosen = ball_maker(ball)(eps).for_data(subject.dataset.shape, len(subject.dataset))
        question = cls(subject, ball, eps, chosen, spec)
        if isinstance(question._example, (type(None), LabelSpecification, AvoidedClass)):
            subject.require_classes()
        return question

    @property
    def _example(self) -> Specification | None:
        labels = self.subject.dataset.y
        return self.goal(None if labels is None else labels[:1])

    def set_of(self, indices: torch.Tensor) -> PerturbationSet:
        """The set around some samples."""
        return self.chosen.of_samples(indices)

    def goal(self, labels: torch.Tensor | None) -> Specification | None:
        """What `--spec` asks of samples with these labels."""
        return None if self.spec is None else parse_specification(self.spec, labels, self.subject.class_axis)

    def asked(self, labels: torch.Tensor | None) -> dict[str, Any]:
        """The property as an argument of the library: labels, or the specification."""
        return {"labels": labels} if self.spec is None else {"spec": self.goal(labels)}

    def settings(self) -> dict[str, Any]:
        """What documents record of it, beside the subject's settings."""
        example = self._example
        return {
            "set": self.chosen.describe(),
            "eps": self.eps,
            **shape_settings(self.ball),
            **box_settings(self.chosen),
            "specification": self.spec,
            "specification_sha256": digest_of(specification_records(self.spec)),
            "specification_words": None if example is None else example.describe(),
        }

    def files(self) -> list[dict[str, Any]]:
        """The files that were read for this, as provenance records them."""
        return [*specification_records(self.spec), *set_files(self.chosen)]


def as_point(point: Any, x: torch.Tensor) -> torch.Tensor | None:
    """A recorded point in the form of x `[1, *shape]`, or None where it is no such point."""
    try:
        points = torch.as_tensor(point, dtype=torch.float64)[None].to(x)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return None
    return points if points.shape == x.shape and bool(points.isfinite().all()) else None
