"""What an argument of a traced operation can be: a node of the graph, a constant, or unknown.

A value that depends on the input is an `ir.Node`. Plain numbers, strings and lists stay what they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor

from autodual.frontend.torch.layout import Displaced
from autodual.ir import Environment, Expression, Node, Op


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
    """The result of an unsupported operation from whose shape no sample's can be told."""


UNKNOWN: Final = Unknown()


@dataclass(frozen=True)
class Unusable:
    """A second result that has no bounds, such as the places of maxima; using it is refused with this reason."""

    reason: str


def depends_on_input(value: Any) -> bool:
    """Whether an operation on this value needs a rule: it is a node, or its shape contains the batch size."""
    if isinstance(value, Fixed):
        return value.expression is None
    return isinstance(value, (Node, Displaced, Unknown, Unusable))


def is_symbolic(value: Any) -> bool:
    """Whether a number depends on the batch size."""
    return isinstance(value, (torch.SymInt, torch.SymFloat, torch.SymBool))
