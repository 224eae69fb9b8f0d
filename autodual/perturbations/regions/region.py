"""A placed set that serves both bounds and attacks."""

from __future__ import annotations

from dataclasses import dataclass

from autodual.perturbations.regions.searchable import Searchable
from autodual.perturbations.regions.support import Support


@dataclass(frozen=True, eq=False)
class Region(Support, Searchable):
    """A placed set over which linear functions can be bounded, and which can be searched for counterexamples.

    `source` and `centre` are those of `PlacedSet`.
    """
