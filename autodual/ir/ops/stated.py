"""What the graph knows of a node, and no run computes."""

from __future__ import annotations

from dataclasses import dataclass

from autodual.ir.scalars.families import Clamp


@dataclass(frozen=True, eq=False)
class Within(Clamp):
    """A clamp that changes no number: it states what of its operand is known, and no run of the network computes it."""
