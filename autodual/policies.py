"""Names of the choices that cut through all layers; imports nothing, so the command line can list them at once."""

from __future__ import annotations

from typing import Literal

#: Which dual feasible slopes a relaxation takes: the thesis' u/(u - ℓ) for both lines, or the tighter lower line a
#: unit.
SlopePolicy = Literal["shared", "adaptive"]

#: How bounds inside the network are had: dual bounds of every undecided unit, or interval arithmetic, cheap and loose.
InnerBounds = Literal["dual", "interval"]

#: How rows meet the input: pulled back from each bound site, pushed forward from the input, or the cheaper a site.
Mode = Literal["auto", "pull", "push"]

DEFAULT_MEMORY_BUDGET = 1 << 30
