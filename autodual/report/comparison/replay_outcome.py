"""The result of a comparison."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Difference:
    """One value that differs between the two runs.

    index: of the sample whose row has it, or the name of the part of the document. allowed: how far numbers may be
    apart, None where not at all.
    """

    index: int | str
    key: str
    recorded: Any
    now: Any
    allowed: float | None = None


@dataclass
class Comparison:
    """The outcome so far: `compared` rows, what differs, what could not be compared, and the largest gap of numbers.

    other_version: the document is of another version of autodual. Then keys that it does not have are not compared, and
    are collected in `unsaid`.
    """

    compared: int = 0
    other_version: bool = False
    unsaid: set[str] = field(default_factory=set)
    differences: list[Difference] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    largest: float = 0.0

    @property
    def agrees(self) -> bool:
        """Whether something was compared, and all of it agrees."""
        return self.compared > 0 and not self.differences

    def add(self, index: int | str, key: str, recorded: Any, now: Any, allowed: float | None = None) -> None:
        """Note a difference."""
        self.differences.append(Difference(index, key, recorded, now, allowed))
