"""Known facts about nodes, which the graph states and no run computes."""

from __future__ import annotations

from dataclasses import dataclass

from autodual.ir.scalars.families import Clamp


@dataclass(frozen=True, eq=False)
class Within(Clamp):
    """A clamp that changes no number: it states known bounds of its operand, and no run of the network computes it."""
