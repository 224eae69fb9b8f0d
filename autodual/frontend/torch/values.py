"""What an argument of a traced operation can be: a node of the graph, a constant, or a value that nothing is known of.

A value that depends on the input is an `ir.Node`. Plain numbers, strings and lists stay what they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor

from autodual.frontend.torch.layout import Displaced
from autodual.ir import Call, Environment, Expression, Node, Op
from autodual.ir.expressions import is_number as is_number
from autodual.ir.expressions import number as number
from autodual.ir.expressions import scalar as scalar


@dataclass(frozen=True, eq=False)
class Fixed:
    """A tensor that does not depend on the input.

    `expression` computes it; None where its shape contains the batch size. `sample` is present where axis 0 is the
    batch axis and all samples are known to hold the same values: it computes those of one sample.
    """

    expression: Expression | None
    shape: tuple[Any, ...]
    sample: Expression | None = None


@dataclass(frozen=True, eq=False)
class Unlowered(Op):
    """Stands for the result of an unsupported operation while the rest of the model is examined."""

    def forward(self, inputs: Sequence[Tensor], environment: Environment) -> Tensor:
        raise AssertionError("an unsupported operation has no forward")


class Unknown:
    """The result of an unsupported operation whose shape is not that of one value a sample."""


UNKNOWN: Final = Unknown()


@dataclass(frozen=True)
class Unusable:
    """A second result that has no bounds, such as the places of maxima; using it is refused with this reason."""

    reason: str


def leaves(value: Any) -> Iterator[Any]:
    """All values inside nested lists and tuples."""
    if isinstance(value, (tuple, list)):
        for item in value:
            yield from leaves(item)
    else:
        yield value


def depends_on_input(value: Any) -> bool:
    """Whether a value needs a rule: it is a node, or a constant that only exists sample by sample."""
    if isinstance(value, Fixed):
        return value.expression is None
    return isinstance(value, (Node, Displaced, Unknown, Unusable))


def is_symbolic(value: Any) -> bool:
    """Whether a number depends on the batch size."""
    return isinstance(value, (torch.SymInt, torch.SymFloat, torch.SymBool))


def apply(function: Callable[..., Any], *arguments: Any, **options: Any) -> Expression:
    """The expression `function(*arguments, **options)`."""
    return Call(function, arguments, tuple(options.items()))


def mask_weights(mask: Tensor, axis: int) -> Tensor:
    """eᵐ for a mask m that is added in a softmax, the largest along the (negative) axis scaled to 1."""
    if mask.dim() < -axis:
        return torch.ones_like(mask)
    return (mask - mask.amax(axis, keepdim=True)).exp()


def finite_names(expression: Expression) -> Iterator[str]:
    """The names of an expression's tensors that must be finite; a mask's minus infinity is none of its results."""
    if isinstance(expression, Call) and expression.target is not mask_weights:
        for value in leaves((expression.args, [value for _, value in expression.kwargs])):
            if isinstance(value, Expression):
                yield from finite_names(value)
    elif not isinstance(expression, Call):
        yield from expression.parameters()
