"""What splitting the operand of a nonlinear op at a point gains: how far each half's lines lie inside the whole's.

A row ν gains ν⁺ times the distance of the half's lower line from the whole's, and ν⁻ times that of the upper lines. The
halves' minima may lie elsewhere than the whole's, so this is a prediction and no bound. Of a ReLU split at 0 it is ν⁻
times the chord's intercept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from autodual.bounds.state.bound_state import BoundState
from autodual.dual.relaxation import LinearRelaxation
from autodual.dual.relaxation_rule import RelaxationRule
from autodual.dual.rows import Rows
from autodual.interval import Interval
from autodual.ir.graph import Node

# The share of an interval's width by which it is made shorter to see what that gains.
_BIT = 0.03


@dataclass(frozen=True, eq=False)
class UnitGains:
    """By unit of a site `[M, *shape]`: the gain, the point to split at, whether the unit is undecided.

    by_width: what the rows gain for each bit by which the unit's interval is shorter.
    """

    gain: Tensor
    point: Tensor
    undecided: Tensor
    by_width: Tensor


def site_gains(state: BoundState, rows: Mapping[str, Tensor]) -> Iterator[tuple[str, UnitGains]]:
    """The gains of every site's units, for rows `[M, *shape]` at relaxed nodes."""
    for site in state.sites:
        if site.name in state.regions:
            continue
        gains = [
            found for reader in site.readers if (found := _reader_gains(state, site.name, reader, rows)) is not None
        ]
        if gains:
            whole = gains[0]
            for other in gains[1:]:
                better = other.gain > whole.gain
                whole = UnitGains(
                    whole.gain + other.gain,
                    torch.where(better, other.point, whole.point),
                    whole.undecided | other.undecided,
                    whole.by_width + other.by_width,
                )
            yield site.name, whole


def _reader_gains(state: BoundState, site: str, reader: str, rows: Mapping[str, Tensor]) -> UnitGains | None:
    """The gains of a site's units by one op that reads them; None where it reads more, or not the units themselves."""
    node, rule = state.graph[reader], state.rules[reader]
    if not isinstance(rule, RelaxationRule) or len(node.inputs) != 1 or reader not in rows:
        return None
    made, name = state.sites.chains[node.inputs[0]]
    if name != site or any(isinstance(state.rules[each], RelaxationRule) for each in made):
        return None
    z = state.interval(node.inputs[0])
    undecided = rule.undecided(node.op, [z], state.environment)
    assert isinstance(undecided, Tensor)
    whole = rule.relax(node.op, [z], state.environment, "adaptive")
    middle = z.lower + (z.upper - z.lower) / 2
    zero = torch.zeros_like(middle)
    points = [torch.where((z.lower < 0) & (z.upper > 0), zero, middle), middle]
    gain, point = zero, points[0]  # where nothing is gained, too: a ReLU that is split at 0 is decided
    for at in points:
        low, high = Interval(z.lower, at), Interval(at, z.upper)
        halves = [(half, rule.relax(node.op, [half], state.environment, "adaptive")) for half in (low, high)]
        worse = torch.stack([_gain(half, lines, whole, rows[reader]) for half, lines in halves]).amin(0)
        worse = torch.where(undecided & (at > z.lower) & (at < z.upper), worse, 0.0).nan_to_num(0.0, 0.0, 0.0)
        point = torch.where(worse > gain, at, point)
        gain = torch.maximum(gain, worse)
    by_width = torch.where(undecided, _by_width(state, node, rule, z, whole, rows[reader]), 0.0)
    return UnitGains(*(_at_site(state, made, values) for values in (gain, point, undecided, by_width)))


def _by_width(
    state: BoundState, node: Node, rule: RelaxationRule, z: Interval, whole: LinearRelaxation, row: Tensor
) -> Tensor:
    """What a row gains where the lines are in the middle of an interval, if either end moves inwards a little."""
    width, middle = z.upper - z.lower, Interval(z.centre, z.centre)
    total = torch.zeros_like(width)
    for shorter in (Interval(z.lower, z.upper - _BIT * width), Interval(z.lower + _BIT * width, z.upper)):
        lines = rule.relax(node.op, [shorter], state.environment, "adaptive")
        total = total + _gain(middle, lines, whole, row).clamp(min=0)
    return (total / (2 * _BIT * width)).nan_to_num(0.0, 0.0, 0.0)


def _gain(half: Interval, lines: LinearRelaxation, whole: LinearRelaxation, row: Tensor) -> Tensor:
    """The row's gain at the end of a half where the lines differ most."""
    above, below = [], []
    for end in (half.lower, half.upper):
        above.append(_upper_line(whole, end) - _upper_line(lines, end))
        below.append(_lower_line(lines, end) - _lower_line(whole, end))
    return row.clamp(min=0) * torch.stack(below).amax(0) + (-row).clamp(min=0) * torch.stack(above).amax(0)


def _upper_line(lines: LinearRelaxation, z: Tensor) -> Tensor:
    return lines.upper_slopes[0] * z + lines.upper_intercept


def _lower_line(lines: LinearRelaxation, z: Tensor) -> Tensor:
    return lines.lower_slopes[0] * z + lines.lower_intercept


def _at_site(state: BoundState, made: tuple[str, ...], values: Tensor) -> Tensor:
    """Values of an operand's scalars at the site's, which the nodes `made` from the operand back only move."""
    rows = Rows(values.to(state.environment.dtype).unsqueeze(1), tuple(values.shape[1:]))
    for name in made:
        (rows,) = state.layers[name].pull(rows)
    found = rows.values[:, 0]
    return found > 0 if values.dtype == torch.bool else found
