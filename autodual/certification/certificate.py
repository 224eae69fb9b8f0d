"""The outcome for one sample, as data, with the assumptions that it rests on."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import Enum

from torch import Tensor

from autodual.certification.positions import Positions
from autodual.certification.showing import counted, html_pairs, html_rows, short


class Status(str, Enum):
    """The outcome for one sample."""

    #: Every margin is positive by more than its own rounding error; deterministic.
    CERTIFIED = "certified"
    #: As certified, except that the random numbers behind the bounds mislead with the `failure_probability`.
    PROBABLY_CERTIFIED = "probably certified"
    #: A stored counterexample, run again, violates the specification.
    FALSIFIED = "falsified"
    #: Neither proved nor refuted; also wherever a bound is NaN or infinite.
    UNKNOWN = "unknown"
    #: The network gives the sample itself another class than its label.
    MISCLASSIFIED = "misclassified"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class ExactEffort:
    """How many linear programs an exact decision solved, in how many seconds, and whether its time sufficed."""

    programs: int
    seconds: float
    finished: bool


@dataclass(frozen=True, eq=False, repr=False)
class Certificate:
    """The outcome for one sample of a perturbation set and a specification.

    predicted, label: classes; None where the network is no classifier, or no label was given, and for label maps.
    margins: lower bounds of the specification's half-spaces (for classes: f_y - f_j, the label's own entry 0); for
    label maps the margins of the positions, one after the other. positions: what is known of each; None but for these.
    margin: the one number made of them that is positive only if the specification is proved. rounding_error: what the
    largest of them may be off by; a certified margin exceeds its own. perturbation, specification, method: in words.
    decided_by: of a union, the member whose margin this is, in words; empty for other sets.
    arithmetic: the dtype whose bounds decided. assumptions: what was taken as known. failure_probability: how likely it
    is, over the random numbers alone, that the margins are not lower bounds; 0 for a deterministic certificate.
    counterexample: a point of the set `[*shape]` that violates the specification; then original is the sample itself,
    and reached the class that the network gives the point, where one class is asked for.

    stage: with an effort, the stage that the margins are from: intervals, adaptive, optimized or search; else empty.
    parts: how many parts a search bounded. exact: what an exact decision took, where one was asked for and needed.
    attacked: in a bracket, whether the network itself is wrong at the sample or at a point that was found; None
    without one.

    Margins are of the network in real arithmetic. execution: the dtype in which its module runs; execution_error: by
    what margins may differ in such a run, sums taken in any order; infinite where no finite bound is known, None where
    an op has no analysis; `execution_reason` says why in either case. deployed: whether the status counts only
    margins beyond that.
    """

    status: Status
    predicted: int | None
    label: int | None
    margins: tuple[float, ...]
    margin: float
    rounding_error: float
    perturbation: str
    specification: str
    method: str
    arithmetic: str
    assumptions: tuple[str, ...] = ()
    failure_probability: float = 0.0
    counterexample: Tensor | None = None
    execution: str = ""
    execution_error: float | None = None
    execution_reason: str = ""
    deployed: bool = False
    positions: Positions | None = None
    original: Tensor | None = None
    reached: int | None = None
    decided_by: str = ""
    exact: ExactEffort | None = None
    attacked: bool | None = None
    stage: str = ""
    parts: int | None = None

    @property
    def certified(self) -> bool:
        """Whether the specification holds at every point of the set, for certain; a probable certificate says False."""
        return self.status is Status.CERTIFIED

    @property
    def confidence(self) -> float:
        """1 - failure_probability."""
        return 1.0 - self.failure_probability

    def __repr__(self) -> str:
        assumed = f"{len(self.assumptions)}" if self.assumptions else None
        probability = self.failure_probability or None
        parts = ("margin", self.margin), ("predicted", self.predicted), ("label", self.label)
        where = self.positions and f"{self.positions.certified_count:,}/{self.positions.count:,}"
        more = ("positions", where), ("failure", probability), ("assumptions", assumed)
        return short("Certificate", self.status, [*parts, *more])

    def _repr_html_(self) -> str:
        """All fields as a table, which notebooks show."""
        shown = {field.name: getattr(self, field.name) for field in fields(self)}
        shown |= {name: f"{list(value.shape)}" for name, value in shown.items() if isinstance(value, Tensor)}
        return html_pairs((name.replace("_", " "), value) for name, value in shown.items() if value != "")


class Certificates(list[Certificate]):
    """The certificates of a call, one a sample: a list that prints as a count, and in a notebook as a table."""

    def __repr__(self) -> str:
        return f"Certificates({counted(certificate.status for certificate in self)})"

    def _repr_html_(self) -> str:
        heads = ("", "status", "label", "predicted", "margin", "rounding error")
        rows = [
            (place, one.status, one.label, one.predicted, one.margin, one.rounding_error)
            for place, one in enumerate(self)
        ]
        return f"<p>{counted(one.status for one in self)}</p>{html_rows(heads, rows)}"
