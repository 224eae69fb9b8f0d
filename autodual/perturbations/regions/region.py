"""A set that both bounds and attacks can work on."""

from __future__ import annotations

from dataclasses import dataclass

from autodual.perturbations.regions.searchable import Searchable
from autodual.perturbations.regions.support import Support


@dataclass(frozen=True, eq=False)
class Region(Support, Searchable):
    """A placed set with everything: linear functions can be bounded over it, and it can be searched."""
