"""Points of a curve at which a condition changes, found by cutting all brackets together.

Brackets are halved, and if there are few of them cut into sixteenths, which takes a quarter of the steps: then the time
goes into operations, whatever their size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from autodual.interval import Interval
from autodual.ir.scalars import Curve, Piece
from autodual.tensors import readable

#: (curve, points, given numbers) → the quantity that is compared with a target to choose a part of a bracket.
Quantity = Callable[[Curve, Tensor, Tensor], Tensor]

# Halvings until a bracket is a few units in the last place wide, even if it spans many orders of magnitude; and until
# most brackets are, those up to `_NARROW` among them.
_HALVINGS = {torch.float64: 64, torch.float32: 44, torch.bfloat16: 24, torch.float16: 24}
_USUAL = {torch.float64: 53, torch.float32: 25}
_NARROW = 64.0
_STEPS_BETWEEN_LOOKS = 3
# Brackets halved at a time: on a CPU as many as stay in its cache.
_TOGETHER = {"cpu": 2**14}
_OTHERWISE_TOGETHER = 2**22
# Up to so many brackets, of all units, are cut in so many parts at a time: choosing some would take as long.
_FEW, _PARTS = 2**11, 16


@dataclass(frozen=True, eq=False)
class Search:
    """A search for one point per unit of the mask `where`, within a piece of the curve and within the bounds.

    At a point z it goes right if sign · quantity(z, given) < sign · target, else left; the other way if `flipped`.
    """

    piece: Piece
    where: Tensor
    given: Tensor
    target: Tensor
    sign: float
    flipped: bool = False


def found(curve: Curve, quantity: Quantity, bounds: Interval, searches: Sequence[Search]) -> list[Tensor]:
    """The points of each search, of the bounds' shape; arbitrary numbers outside its mask `where`.

    Gradients treat inner points as constants, since moving a touching point changes its line only to second order. A
    point where the search ran into a bound has the gradient of that bound.

    Args:
        curve: the curve to search on.
        quantity: what is compared with each search's target.
        bounds: the units' bounds.
        searches: all searches, which may differ in piece, target and mask.
    """
    if not searches:
        return []
    fixed = bounds.map(Tensor.detach)
    every = sum(search.where.numel() for search in searches) <= _FEW or not readable(bounds.lower)
    brackets = [_bracket(search, fixed, every) for search in searches]
    whole = _Brackets(*(torch.cat(parts) for parts in zip(*(bracket.fields for bracket in brackets))))
    sizes = [len(bracket.low) for bracket in brackets]
    points, first, last = (part.split(sizes) for part in _narrowed(curve, quantity, whole))
    placed = [_put(fixed.lower, search.where, point, every) for search, point in zip(searches, points, strict=True)]
    if not (bounds.lower.requires_grad or bounds.upper.requires_grad):
        return placed
    return [
        _drifting(bounds, search.where, point, left, right, every)
        for search, point, left, right in zip(searches, placed, first, last, strict=True)
    ]


def _drifting(bounds: Interval, where: Tensor, point: Tensor, first: Tensor, last: Tensor, every: bool) -> Tensor:
    """The points, each with the gradient of the bound that its search never left, if any."""
    drift = bounds.map(lambda end: (end - end.detach()).nan_to_num(0.0))
    nowhere = torch.zeros_like(where)
    point = torch.where(_put(nowhere, where, first, every), point + drift.lower, point)
    return torch.where(_put(nowhere, where, last, every), point + drift.upper, point)


def _taken(values: Tensor, where: Tensor, every: bool) -> Tensor:
    """The values `[R]` of the units to search for, or of all."""
    return values.flatten() if every else values[where]


def _put(values: Tensor, where: Tensor, found: Tensor, every: bool) -> Tensor:
    """Values with those found `[R]` in the places that `_taken` took."""
    if every:
        return torch.where(where, found.reshape(where.shape), values)
    return values.masked_scatter(where, found)


@dataclass(frozen=True, eq=False)
class _Brackets:
    """Brackets, one entry each: the ends, whether these are the bounds themselves, and the condition's numbers."""

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
        """All fields, in order."""
        return tuple(vars(self).values())

    def split(self, size: int) -> Iterator[_Brackets]:
        """The brackets, `size` at a time."""
        for parts in zip(*(field.split(size) for field in self.fields)):
            yield _Brackets(*parts)


def _bracket(search: Search, bounds: Interval, every: bool) -> _Brackets:
    where = search.where
    lower, upper = _taken(bounds.lower, where, every), _taken(bounds.upper, where, every)
    given, target = _taken(search.given.detach(), where, every), _taken(search.target.detach(), where, every)
    low, high = (end.clamp(search.piece.start, search.piece.end) for end in (lower, upper))
    sign = torch.full_like(low, search.sign)
    flipped = torch.full_like(low, search.flipped, dtype=torch.bool)
    return _Brackets(low, high, low == lower, high == upper, given, sign * target, sign, flipped)


@torch.no_grad()
def _narrowed(curve: Curve, quantity: Quantity, brackets: _Brackets) -> tuple[Tensor, Tensor, Tensor]:
    """The points, and the masks of searches that never left the lower bound, or the upper one."""
    if brackets.low.numel() <= _FEW:
        return _cut(curve, quantity, brackets)
    size = _TOGETHER.get(brackets.low.device.type, _OTHERWISE_TOGETHER)
    parts = [_halve(curve, quantity, part) for part in brackets.split(size)]
    point, first, last = (torch.cat(part) for part in zip(*parts))
    return point, first, last


def _right(curve: Curve, quantity: Quantity, brackets: _Brackets, point: Tensor) -> Tensor:
    """Whether a search goes right at its point. Slopes are never evaluated at brackets' ends, where a knot may have two
    of them.
    """
    return (brackets.sign * quantity(curve, point, brackets.given) < brackets.target) ^ brackets.flipped


def _cut(curve: Curve, quantity: Quantity, brackets: _Brackets) -> tuple[Tensor, Tensor, Tensor]:
    """`_narrowed` for few brackets, by a number of steps that depends on no value but whether all are narrow."""
    low, high, first, last = brackets.low, brackets.high, brackets.at_lower, brackets.at_upper
    halvings = _HALVINGS[low.dtype]
    # Elsewhere the answer would have to be waited for.
    looks = low.dtype in _USUAL and readable(low) and low.device.type == "cpu"
    if looks and not bool((high - low > _NARROW).any()):
        halvings = _USUAL[low.dtype]
    share = torch.arange(1, _PARTS, dtype=low.dtype, device=low.device).unsqueeze(1) / _PARTS
    for _ in range(math.ceil(halvings / math.log2(_PARTS)) if low.numel() else 0):
        # Sums of shares, which no difference of ends makes inexact or infinite.
        inner = (low * (1 - share)).addcmul_(high, share)
        passed = _right(curve, quantity, brackets, inner).sum(0, keepdim=True)
        ends = torch.cat([low.unsqueeze(0), inner, high.unsqueeze(0)])
        low, high = ends.gather(0, passed)[0], ends.gather(0, passed + 1)[0]
        first, last = first & (passed[0] == 0), last & (passed[0] == _PARTS - 1)
    return (low + high) / 2, first, last


def _halve(curve: Curve, quantity: Quantity, brackets: _Brackets) -> tuple[Tensor, Tensor, Tensor]:
    """`_narrowed` for many brackets, until no halving changes any."""
    low, high, first, last = brackets.low, brackets.high, brackets.at_lower, brackets.at_upper
    usual = _USUAL.get(low.dtype, 0)
    for step in range(_HALVINGS[low.dtype]):
        middle = (low + high) / 2
        right = _right(curve, quantity, brackets, middle)
        before = low, high, first, last
        low, high = torch.where(right, middle, low), torch.where(right, high, middle)
        first, last = first & ~right, last & right
        # No bracket changed in this step, so none ever will.
        look = readable(low) and step >= usual and (step - usual) % _STEPS_BETWEEN_LOOKS == 0
        if look and all(map(torch.equal, before, (low, high, first, last))):
            break
    return (low + high) / 2, first, last
