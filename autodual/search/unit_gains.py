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
from autodual.bounds.state.sites import Site
from autodual.dual.relaxation import LinearRelaxation
from autodual.dual.relaxation_rule import RelaxationRule
from autodual.dual.rows import Rows
from autodual.interval import Interval
from autodual.ir.graph import Node

# The share of an interval's width by which it is made shorter to see what that gains.
_BIT = 0.03


@dataclass(frozen=True, eq=False)
class UnitGains:
    """By unit of a site `[M, *shape]`: the gain, the point to split at, whether the unit is undecided."""

    gain: Tensor
    point: Tensor
    undecided: Tensor


def site_gains(state: BoundState, rows: Mapping[str, Tensor]) -> Iterator[tuple[str, UnitGains]]:
    """The gains of every site's units, for rows `[M, *shape]` at relaxed nodes."""
    for site in state.sites:
        gains = [_gains(state, reader) for reader in _readers(state, site, rows)]
        if gains:
            whole = gains[0]
            for other in gains[1:]:
                better = other.gain > whole.gain
                whole = UnitGains(
                    whole.gain + other.gain,
                    torch.where(better, other.point, whole.point),
                    whole.undecided | other.undecided,
                )
            yield site.name, whole


def width_gains(state: BoundState, rows: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """By site, what rows `[M, *shape]` gain for each bit by which a unit's interval is shorter, `[M, *shape]`."""
    for site in state.sites:
        gains = [_by_width(state, reader) for reader in _readers(state, site, rows)]
        if gains:
            yield site.name, sum(gains[1:], gains[0])


@dataclass(frozen=True, eq=False)
class _Reader:
    """An op that reads a site's units one by one, and nothing else.

    made: the nodes from its operand back to the site, which only move units. z: its operand's interval. undecided:
    where lines matter. whole: the lines. row: at the op's output.
    """

    node: Node
    rule: RelaxationRule
    made: tuple[str, ...]
    z: Interval
    undecided: Tensor
    whole: LinearRelaxation
    row: Tensor


def _readers(state: BoundState, site: Site, rows: Mapping[str, Tensor]) -> Iterator[_Reader]:
    for reader in () if site.name in state.regions else site.readers:
        node, rule = state.graph[reader], state.rules[reader]
        if not isinstance(rule, RelaxationRule) or len(node.inputs) != 1 or reader not in rows:
            continue
        made, name = state.sites.chains[node.inputs[0]]
        if name != site.name or any(isinstance(state.rules[each], RelaxationRule) for each in made):
            continue
        z = state.interval(node.inputs[0])
        undecided = rule.undecided(node.op, [z], state.environment)
        assert isinstance(undecided, Tensor)
        yield _Reader(node, rule, made, z, undecided, _lines(state, node, rule, z), rows[reader])


def _lines(state: BoundState, node: Node, rule: RelaxationRule, z: Interval) -> LinearRelaxation:
    return rule.relax(node.op, [z], state.environment, "adaptive")


def _gains(state: BoundState, reader: _Reader) -> UnitGains:
    node, rule, z = reader.node, reader.rule, reader.z
    points = rule.split_points(node.op, z)
    gain, point = torch.zeros_like(z.lower), points[0]  # where nothing is gained, too: a split ReLU is decided
    for at in points:
        halves = [(half, _lines(state, node, rule, half)) for half in (Interval(z.lower, at), Interval(at, z.upper))]
        low, high = (_gain(half, lines, reader.whole, reader.row) for half, lines in halves)
        inside = reader.undecided & (at > z.lower) & (at < z.upper)
        worse = torch.where(inside, low.minimum(high), 0.0).nan_to_num(0.0, 0.0, 0.0)
        point = torch.where(worse > gain, at, point)
        gain = torch.maximum(gain, worse)
    return UnitGains(*(_at_site(state, reader.made, values) for values in (gain, point, reader.undecided)))


def _by_width(state: BoundState, reader: _Reader) -> Tensor:
    """What a row gains where the lines are in the middle of an interval, if either end moves inwards a little."""
    z = reader.z
    width, middle = z.upper - z.lower, Interval(z.centre, z.centre)
    total = torch.zeros_like(width)
    for shorter in (Interval(z.lower, z.upper - _BIT * width), Interval(z.lower + _BIT * width, z.upper)):
        lines = _lines(state, reader.node, reader.rule, shorter)
        total = total + _gain(middle, lines, reader.whole, reader.row).clamp(min=0)
    found = torch.where(reader.undecided, (total / (2 * _BIT * width)).nan_to_num(0.0, 0.0, 0.0), 0.0)
    return _at_site(state, reader.made, found)


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
