"""Constants of a network as expressions, which are evaluated anew at each call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from autodual.ir import Call, Expression


def leaves(value: Any) -> Iterator[Any]:
    """All values inside nested lists and tuples."""
    if isinstance(value, (tuple, list)):
        for item in value:
            yield from leaves(item)
    else:
        yield value


def apply(function: Callable[..., Any], *arguments: Any, **options: Any) -> Expression:
    """The expression `function(*arguments, **options)`."""
    return Call(function, arguments, tuple(options.items()))


def mask_weights(mask: Tensor, axis: int) -> Tensor:
    """eᵐ for a mask m that is added to the scores of a softmax, scaled so that the largest along an axis is 1.

    axis: negative, counted from the last one.
    """
    if mask.dim() < -axis:
        return torch.ones_like(mask)
    return (mask - mask.amax(axis, keepdim=True)).exp()


@dataclass(frozen=True)
class Interpolating:
    """Weights of an interpolation `[…, …]`, the entries read along `axis`: a run computes them from places."""

    axis: int

    def __call__(self, weights: Tensor) -> Tensor:
        return weights

    def off(self, weights: Tensor, unit: float) -> Tensor:
        """A place is off by a few roundings of its size, in float32 at least, and weights by twice that; also those of
        the entries beside the ones that are read, to which it may be rounded.
        """
        read = (weights != 0).to(weights.dtype).movedim(self.axis, -1)
        beside = torch.nn.functional.max_pool1d(read, 3, stride=1, padding=1).movedim(-1, self.axis)
        return beside * 8 * min(unit, torch.finfo(torch.float32).eps / 2) * (weights.shape[self.axis] + 1)


def finite_names(expression: Expression) -> Iterator[str]:
    """The names of the tensors in an expression that must be finite: all but masks, which may hold minus infinity."""
    if isinstance(expression, Call) and expression.target is not mask_weights:
        for value in leaves((expression.args, [value for _, value in expression.kwargs])):
            if isinstance(value, Expression):
                yield from finite_names(value)
    elif not isinstance(expression, Call):
        yield from expression.parameters()
