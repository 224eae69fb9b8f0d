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

    Example:
        >>> import torch
        >>> from dataclasses import dataclass
        >>> from autodual.ir import Environment, Op
        >>> @dataclass(frozen=True, eq=False)
        ... class Scaled(Op):
        ...     factor: float = 2.0
        ...     def forward(self, inputs, environment):
        ...         return inputs[0] * self.factor
        >>> environment = Environment({}.__getitem__, torch.float32, torch.device("cpu"))
        >>> Scaled(3.0).forward([torch.ones(1, 2)], environment), Scaled(3.0).kind, Scaled(3.0).attributes()
        (tensor([[3., 3.]]), 'scaled', {'factor': 3.0})
    """

    #: Whether the op is continuous; if not, rounding may decide on which side of a jump an output falls.
    continuous: ClassVar[bool] = True

    @abstractmethod
    def forward(self, inputs: Sequence[Tensor], environment: Environment) -> Tensor:
        """The op on a batch: its output `[N, *shape]`.

        Args:
            inputs: a batch `[N, *shape]` per operand.
            environment: evaluates the op's parameters.
        """

    def surrogate(self, inputs: Sequence[Tensor], environment: Environment) -> Tensor | None:
        """A function near the op's, by whose gradient attacks search; None, the default: by the op's own.

        An op that is constant between jumps has a zero gradient, and no search leaves where it begins. Values stay the
        op's own; only their gradients are those of the surrogate.

        Args:
            inputs: a batch `[N, *shape]` per operand.
            environment: evaluates the op's parameters.
        """
        return None

    def tied(self, inputs: Sequence[Tensor], environment: Environment) -> Sequence[Tensor]:
        """Operands that the op may meet, made of any: the same, unless what it is given is known to be tied.

        An op whose operands follow from one another promises its values, and its rule its bounds, for such operands
        only. Tests draw their points with it.

        Args:
            inputs: a batch `[N, *shape]` per operand.
            environment: evaluates the op's parameters.
        """
        return inputs

    def keeps_order(self, shape: Sequence[int]) -> bool:
        """Whether the output's entries are ordered as those of the op's only operand, of the same shape.

        Then an attack on which of two outputs is larger may look at the operand, whose gradient may be larger.

        Args:
            shape: of one sample.
        """
        return False

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
        """The op to run with errors in place of constants: an absent constant that means 1 becomes 0, its error."""
        return self

    def expressions(self) -> list[Expression]:
        """The parameter expressions the op reads."""
        assert is_dataclass(self)
        values = (getattr(self, field.name) for field in fields(self))
        return [value for value in values if isinstance(value, Expression)]
