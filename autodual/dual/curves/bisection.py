"""Points of a curve at which a condition changes, all of them found together by halving brackets.

The results are those of each bracket halved alone; together they take one call of each function a step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from autodual.interval import Interval
from autodual.ir.scalars import Curve, Piece

#: Of (curve, points, given numbers): the quantity that, compared with a target, says on which side of a point to go on.
Quantity = Callable[[Curve, Tensor, Tensor], Tensor]

# Halvings that leave a bracket of a few units in the last place, also where it spans many orders of magnitude; and
# after how many of them most brackets cannot be halved any more.
_HALVINGS = {torch.float64: 64, torch.float32: 44, torch.bfloat16: 24, torch.float16: 24}
_USUAL = {torch.float64: 53, torch.float32: 25}
_STEPS_BETWEEN_LOOKS = 3
# Brackets that are halved at a time: those that stay in the cache, where there is one.
_TOGETHER = {"cpu": 2**14}
_OTHERWISE_TOGETHER = 2**22


@dataclass(frozen=True, eq=False)
class Search:
    """One point of each unit, within a piece of the curve and within bounds; only `where` says so.

    At a point z go on to the right where sign · quantity(z, given) < sign · target; where not, if `flipped`.
    """

    piece: Piece
    where: Tensor
    given: Tensor
    target: Tensor
    sign: float
    flipped: bool = False


def found(curve: Curve, quantity: Quantity, bounds: Interval, searches: Sequence[Search]) -> list[Tensor]:
    """For each search its points, of the bounds' shape; elsewhere than `where` any number.

    For gradients inner points are constants: moving a touching point moves its line only to second order. Where the
    search ran into a bound, the point moves with it.
    """
    if not searches:
        return []
    fixed = bounds.map(Tensor.detach)
    brackets = [_bracket(search, fixed) for search in searches]
    whole = _Brackets(*(torch.cat(parts) for parts in zip(*(bracket.fields for bracket in brackets))))
    sizes = [len(bracket.low) for bracket in brackets]
    points, first, last = (part.split(sizes) for part in _halved(curve, quantity, whole))
    placed = [fixed.lower.masked_scatter(search.where, point) for search, point in zip(searches, points, strict=True)]
    if not (bounds.lower.requires_grad or bounds.upper.requires_grad):
        return placed
    return [
        _drifting(bounds, search.where, point, *ends)
        for search, point, *ends in zip(searches, placed, first, last, strict=True)
    ]


def _drifting(bounds: Interval, where: Tensor, point: Tensor, first: Tensor, last: Tensor) -> Tensor:
    """Points that move with the bound that their search never left."""
    drift = bounds.map(lambda end: (end - end.detach()).nan_to_num(0.0))
    nowhere = torch.zeros_like(where)
    point = torch.where(nowhere.masked_scatter(where, first), point + drift.lower, point)
    return torch.where(nowhere.masked_scatter(where, last), point + drift.upper, point)


@dataclass(frozen=True, eq=False)
class _Brackets:
    """What is halved, one entry a bracket: its ends, whether these are the bounds', and the condition's numbers."""

    low: Tensor
    high: Tensor
    at_lower: Tensor
    at_upper: Tensor
    given: Tensor
    target: Tensor
    sign: Tensor
    flipped: Tensor

    @property
    def fields(self) -> tuple[Tensor, ...]:
        """All of it, in order."""
        return tuple(vars(self).values())

    def split(self, size: int) -> Iterator[_Brackets]:
        """The brackets, a number at a time."""
        for parts in zip(*(field.split(size) for field in self.fields)):
            yield _Brackets(*parts)


def _bracket(search: Search, bounds: Interval) -> _Brackets:
    where = search.where
    lower, upper = bounds.lower[where], bounds.upper[where]
    given, target = search.given.detach()[where], search.target.detach()[where]
    low, high = (end.clamp(search.piece.start, search.piece.end) for end in (lower, upper))
    sign = torch.full_like(low, search.sign)
    flipped = torch.full_like(low, search.flipped, dtype=torch.bool)
    return _Brackets(low, high, low == lower, high == upper, given, sign * target, sign, flipped)


@torch.no_grad()
def _halved(curve: Curve, quantity: Quantity, brackets: _Brackets) -> tuple[Tensor, Tensor, Tensor]:
    """The points, and where a search never left the lower bound, or the upper one."""
    size = _TOGETHER.get(brackets.low.device.type, _OTHERWISE_TOGETHER)
    parts = [_halve(curve, quantity, part) for part in brackets.split(size)]
    point, first, last = (torch.cat(part) for part in zip(*parts))
    return point, first, last


def _halve(curve: Curve, quantity: Quantity, brackets: _Brackets) -> tuple[Tensor, Tensor, Tensor]:
    """Slopes are never asked for at the ends themselves, where a knot may have another one on the other side."""
    low, high, first, last = brackets.low, brackets.high, brackets.at_lower, brackets.at_upper
    usual = _USUAL.get(low.dtype, 0)
    for step in range(_HALVINGS[low.dtype] if low.numel() else 0):
        middle = (low + high) / 2
        right = brackets.sign * quantity(curve, middle, brackets.given) < brackets.target
        right = right ^ brackets.flipped
        before = low, high, first, last
        low, high = torch.where(right, middle, low), torch.where(right, high, middle)
        first, last = first & ~right, last & right
        # Nothing moves any more, and so never will.
        look = step >= usual and (step - usual) % _STEPS_BETWEEN_LOOKS == 0
        if look and all(map(torch.equal, before, (low, high, first, last))):
            break
    return (low + high) / 2, first, last
