"""Which ways to split parts suit a network and its set."""

from __future__ import annotations

from autodual.search.actions import Action
from autodual.search.input_halves import InputHalves
from autodual.search.part_bounds import PartBounds
from autodual.search.unit_splits import UnitSplits

# With at most so many varying inputs halving one of them is tried before splits of units.
_FEW_INPUTS = 16


def suitable_actions(bounds: PartBounds) -> list[Action]:
    """The actions that a search should choose from, the likeliest to pay first."""
    plan, varying = bounds.plan, bounds.varying
    units = UnitSplits(plan, refreshes=bounds.refreshes)
    if not units.sites and bounds.boxes:
        return [InputHalves(plan)]
    if not bounds.refreshes:
        return [units]
    return [InputHalves(plan), units] if varying <= _FEW_INPUTS else [units, InputHalves(plan)]
