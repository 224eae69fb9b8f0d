"""Steps uphill within bounds, for many rows at once: by the gradient's signs at first, then by Adam; the best is kept.

Signs reach the right ends of most slopes in few steps, whatever the gradient's size, and Adam then settles the others
(measured: ten signs come closer to the optimum than twenty steps of Adam).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

# The first steps' lengths, in units of what is searched, and how long the last ones are beside them if steps are few.
# Of many, each sign's is at most so long beside the one before, and Adam's last one is shorter the more there are.
_SIGN, _SIGN_LAST, _SIGN_DECAY = 0.6, 0.05, 0.85
_ADAM, _ADAM_LAST, _ADAM_STEPS = 0.1, 0.2, 20
_GROW, _SHRINK = 1.5, 0.7
_FIRST, _SECOND = 0.9, 0.999
#: Signs alone, up to so many steps; of more steps a third are signs, up to so many.
_SIGNS, _MOST_SIGNS = 10, 30


@dataclass(frozen=True)
class Step:
    """One step: its length, and its number among Adam's, None if it follows signs."""

    length: float
    adam: int | None = None


def steps_of(count: int) -> Iterator[Step]:
    """So many steps, each shorter than the one before."""
    signs = count if count <= _SIGNS else min(max(_SIGNS, count // 3), _MOST_SIGNS)
    adam = count - signs
    for length in _lengths(signs, _SIGN, min(_SIGN_LAST, _SIGN_DECAY**signs)):
        yield Step(length)
    for number, length in enumerate(_lengths(adam, _ADAM, min(_ADAM_LAST, _ADAM_STEPS / max(1, adam)))):
        yield Step(length, number)


def _lengths(count: int, first: float, last: float) -> list[float]:
    """So many lengths, each shorter than the one before by one factor; last: of the first, what comes after them."""
    return [first * last ** (number / count) for number in range(count)]


class Unit:
    """What a step of length 1 moves, entry by entry, where nobody knows how far the best place is."""

    def __init__(self, first: Tensor):
        self.first, self.here = first, first
        self._sign = torch.zeros_like(first)

    def grow(self, sign: Tensor) -> None:
        """Step further where the gradient keeps its sign, and less far where it has another."""
        same, self._sign = sign * self._sign, sign
        self.here = self.here * torch.where(same > 0, _GROW, torch.where(same < 0, _SHRINK, 1.0))

    def settle(self, best: Tensor) -> None:
        """Measure further steps by the best place where that is far."""
        self.here = self.first.maximum(best)

    def keep(self, index: Tensor) -> None:
        """Go on with some of the groups."""
        self.first, self.here, self._sign = self.first[index], self.here[index], self._sign[index]


class Climb:
    """A tensor `[G, K, …]` on its way uphill, at least 0 and at most `limit`, and the best place of each row.

    unit: what a step of length 1 moves; None: 1.
    """

    def __init__(self, start: Tensor, limit: float | None = 1.0):
        self.limit = limit
        self.unit: Unit | None = None
        self.here = start.clone(memory_format=torch.contiguous_format)
        self.best = self.here.clone()
        self._moments: tuple[Tensor, Tensor] | None = None

    def note(self, better: Tensor) -> None:
        """Keep the places of the rows `[G, K]` that are better than ever."""
        self.best = torch.where(better.reshape(*better.shape, *[1] * (self.here.dim() - 2)), self.here, self.best)

    def back(self) -> None:
        """Return to the best place."""
        self.here = self.best.clone()
        if self.unit is not None:
            self.unit.settle(self.best)

    def keep(self, index: Tensor) -> None:
        """Go on with some of the groups."""
        self.here, self.best = self.here[index], self.best[index]
        if self.unit is not None:
            self.unit.keep(index)
        if self._moments is not None:
            self._moments = (self._moments[0][index], self._moments[1][index])

    def step(self, gradient: Tensor, step: Step) -> None:
        """One step along a gradient; entries that are no numbers do not move."""
        gradient = gradient.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
        move = gradient.sign() if step.adam is None else self._adam(gradient, step.adam)
        if self.unit is not None:
            if step.adam is None:
                self.unit.grow(move)
            move = move * self.unit.here
        self.here.add_(move, alpha=step.length).clamp_(0.0, self.limit)

    def _adam(self, gradient: Tensor, number: int) -> Tensor:
        """The direction of Adam (Kingma and Ba 2015)."""
        if self._moments is None or number == 0:
            self._moments = torch.zeros_like(gradient), torch.zeros_like(gradient)
        mean, square = self._moments
        mean.lerp_(gradient, 1 - _FIRST)
        square.mul_(_SECOND).addcmul_(gradient, gradient, value=1 - _SECOND)
        size = (square / (1 - _SECOND ** (number + 1))).sqrt_()
        return mean.div(1 - _FIRST ** (number + 1)).div_(size.clamp_(min=torch.finfo(size.dtype).tiny))
