"""The base class of primitive operations."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from autodual.ir.expressions import Environment, Expression


class Op(ABC):
    """One primitive operation: a frozen dataclass whose fields are its attributes.

    Weights and constants are `Expression` fields. Subclasses know how to run themselves and nothing of duals:
    those live in the rule that is registered for the class.
    """

    #: Whether the op is continuous; if not, rounding may decide on which side of a jump an output falls.
    continuous: ClassVar[bool] = True

    @abstractmethod
    def forward(self, inputs: Sequence[Tensor], environment: Environment) -> Tensor:
        """The op on a batch: inputs `[N, *shape]` each, output `[N, *shape]`."""

    @property
    def narrows(self) -> torch.dtype | None:
        """The floating type that results have in a run, and maybe later results too; None: the network's own."""
        return None

    @property
    def kind(self) -> str:
        """The op's name in texts: the class name in snake case."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(self).__name__).lower()

    def attributes(self) -> dict[str, Any]:
        """The fields that differ from their default, for texts."""
        assert is_dataclass(self)
        shown = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Expression) or value != field.default:
                shown[field.name] = value
        return shown

    def deviation(self) -> Op:
        """The op whose constants are by how much others of its kind differ from its own: absent ones that stand for a 1
        are 0 there.
        """
        return self

    def expressions(self) -> list[Expression]:
        """The parameter expressions the op reads."""
        assert is_dataclass(self)
        values = (getattr(self, field.name) for field in fields(self))
        return [value for value in values if isinstance(value, Expression)]
