"""What certify and attack ask of each sample: the set around it, and the property that should hold in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from autodual.perturbations import PerturbationSet
from autodual.specs import AvoidedClass, LabelSpecification, Specification, parse_specification
from autodual_cli.options.option_groups import BallOptions
from autodual_cli.options.set_options import Boxes, ball_maker, shape_settings
from autodual_cli.output.provenance import digest_of, file_record
from autodual_cli.subject.model_and_data import Subject
from autodual_cli.subject.specification_files import specification_records


@dataclass(frozen=True, eq=False)
class Question:
    """Either `fixed` is the set around all samples, or `boxes` holds one for each; `spec` is the property, or None."""

    subject: Subject
    ball: BallOptions
    eps: float | None
    fixed: PerturbationSet | None
    boxes: Boxes | None
    spec: str | None

    @classmethod
    def of(
        cls, subject: Subject, ball: BallOptions, *, eps: float | None, box: str | None, spec: str | None
    ) -> Question:
        """The question that the options ask.

        Raises:
            AutodualError: they describe no set or property, or the network's outputs have no classes to ask about.
        """
        question = cls(
            subject,
            ball,
            eps,
            fixed=None if eps is None else ball_maker(ball)(eps),
            boxes=None if box is None else Boxes(box, subject.dataset.shape, len(subject.dataset)),
            spec=spec,
        )
        if isinstance(question._example, (type(None), LabelSpecification, AvoidedClass)):
            subject.require_classes()
        return question

    @property
    def _example(self) -> Specification | None:
        labels = self.subject.dataset.y
        return self.goal(None if labels is None else labels[:1])

    def set_of(self, indices: torch.Tensor) -> PerturbationSet:
        """The set around some samples."""
        if self.fixed is not None:
            return self.fixed
        assert self.boxes is not None
        return self.boxes.at(indices, self.subject.device)

    def goal(self, labels: torch.Tensor | None) -> Specification | None:
        """What `--spec` asks of samples with these labels."""
        return None if self.spec is None else parse_specification(self.spec, labels, self.subject.class_axis)

    def asked(self, labels: torch.Tensor | None) -> dict[str, Any]:
        """The property as an argument of the library: labels, or the specification."""
        return {"labels": labels} if self.spec is None else {"spec": self.goal(labels)}

    def settings(self) -> dict[str, Any]:
        """What documents record of it, beside the subject's settings."""
        example = self._example
        whole = self.boxes if self.fixed is None else self.fixed
        assert whole is not None
        return {
            "set": whole.describe(),
            "eps": self.eps,
            **(shape_settings(self.ball) if self.boxes is None else {"norm": None, "domain": None}),
            "box": None if self.boxes is None else self.boxes.files,
            "box_sha256": None if self.boxes is None else self.boxes.sha256,
            "specification": self.spec,
            "specification_sha256": digest_of(specification_records(self.spec)),
            "specification_words": None if example is None else example.describe(),
        }

    def files(self) -> list[dict[str, Any]]:
        """The files that were read for this, as provenance records them."""
        ends = [] if self.boxes is None else zip(("box, lower", "box, upper"), self.boxes.paths, strict=True)
        return [*specification_records(self.spec), *(file_record(role, path) for role, path in ends)]


def as_point(point: Any, x: torch.Tensor) -> torch.Tensor | None:
    """A recorded point in the form of x `[1, *shape]`, or None where it is no such point."""
    try:
        points = torch.as_tensor(point, dtype=torch.float64)[None].to(x)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return None
    return points if points.shape == x.shape and bool(points.isfinite().all()) else None
