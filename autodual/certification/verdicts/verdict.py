"""The verdict on a property, as data, with the counterexample if there is one."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import Enum

import numpy

from autodual.certification.showing import html_pairs, short


class VerdictStatus(str, Enum):
    """The answer to "does some allowed input violate the property?"."""

    #: Yes: the counterexample was run again and violates it.
    SAT = "sat"
    #: No: bounds prove it for every input of every case.
    UNSAT = "unsat"
    #: Neither was found, and there is nothing left to try.
    UNKNOWN = "unknown"
    #: Neither was found within the time allowed.
    TIMEOUT = "timeout"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, eq=False, repr=False)
class Verdict:
    """The outcome for one property.

    inputs `[D]`, outputs `[K]`: the counterexample, float64, flattened and in declared order; None unless sat. The
    inputs lie in the case's box exactly; the outputs are what the model returned for them, rounded to float32. case:
    which of the property's cases it violates. method: what decided, or what was tried. undecided: cases that are still
    open. parts: boxes that were bounded after splitting. seconds: how long it took.
    """

    status: VerdictStatus
    inputs: numpy.ndarray | None
    outputs: numpy.ndarray | None
    case: int | None
    method: str
    undecided: int
    parts: int
    seconds: float

    def __repr__(self) -> str:
        parts = ("method", self.method), ("case", self.case), ("undecided", self.undecided)
        return short("Verdict", self.status, parts)

    def _repr_html_(self) -> str:
        """All fields as a table, which notebooks show."""
        return html_pairs((field.name, getattr(self, field.name)) for field in fields(self))
