"""Expressions over live model parameters: the parts of a network that do not depend on its input.

A weight in the graph is not a copied tensor but a recipe, evaluated anew at each call. So a dual network compiled
once stays right after `optimizer.step()`, and gradients reach the parameters.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


class Expression(ABC):
    """A tensor that depends on parameters alone. Compared by identity, so a shared one is evaluated once per call."""

    @abstractmethod
    def parameters(self) -> Iterator[str]:
        """Names of the parameters and buffers that it reads."""


@dataclass(frozen=True, eq=False)
class Parameter(Expression):
    """A parameter, buffer or lifted constant of the model.

    Args:
        name: its qualified name, such as "0.weight".

    Example:
        >>> from autodual.ir import Parameter
        >>> list(Parameter("0.weight").parameters())
        ['0.weight']
    """

    name: str

    def parameters(self) -> Iterator[str]:
        yield self.name

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, eq=False)
class Call(Expression):
    """`target(*args, **kwargs)`, where arguments may be expressions, also inside lists.

    Args:
        target: a function of tensors.
        args: its positional arguments.
        kwargs: its keyword arguments, as pairs; no expressions.

    Example:
        >>> import torch
        >>> from autodual.ir import Call, Parameter
        >>> shift = Call(torch.add, (Parameter("bias"), 1.0))
        >>> str(shift), list(shift.parameters())
        ('add(bias, 1.0)', ['bias'])
    """

    target: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: tuple[tuple[str, Any], ...] = ()

    def parameters(self) -> Iterator[str]:
        for argument in _leaves((self.args, tuple(value for _, value in self.kwargs))):
            yield from argument.parameters()

    def __str__(self) -> str:
        name = getattr(self.target, "__name__", str(self.target)).removesuffix(".default").removesuffix(".Tensor")
        shown = [_show(argument) for argument in self.args] + [f"{key}={_show(value)}" for key, value in self.kwargs]
        return f"{name}({', '.join(shown)})"


def _leaves(value: Any) -> Iterator[Expression]:
    if isinstance(value, Expression):
        yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _leaves(item)


def _show(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(_show(item) for item in value)}]"
    return str(value)


def scalar(value: float) -> Tensor:
    """The literal `value` as a tensor without axes, in double precision, not rounded to float32."""
    return torch.tensor(value, dtype=torch.float64)


def number(value: float) -> Expression:
    """The literal `value` of the user's code as an expression."""
    return Call(scalar, (value,))


def is_number(expression: Expression | None, value: float) -> bool:
    """Whether an `expression` is the literal `value`."""
    return isinstance(expression, Call) and expression.target is scalar and expression.args == (value,)


def literal(expression: Expression | None, absent: float) -> float | None:
    """The number that an `expression` of literals stands for; `absent` where there is none, None where it is none."""
    if expression is None:
        return absent
    if not isinstance(expression, Call):
        return None
    if expression.target is scalar:
        return float(expression.args[0])
    parts = [literal(one, absent) if isinstance(one, Expression) else None for one in expression.args]
    known = [scalar(part) for part in parts if part is not None]
    whole = len(known) == len(parts) > 0 and not expression.kwargs
    return float(expression.target(*known)) if whole else None


class Environment:
    """Evaluates expressions for one dtype on one device, each at most once.

    Floating tensors are converted, so a float32 model can be bounded in float64 without touching it; gradients flow
    through the conversion.

    Expressions are computed in float64 and rounded once, at the end: the shift β - γμ/√(σ² + ϵ) of a batch norm may
    cancel, and the rounding error bounds of the engine do not cover errors made there.

    Args:
        lookup: resolves a qualified name to the live tensor.
        dtype: the floating dtype of results.
        device: the device of results.

    Example:
        >>> import torch
        >>> from autodual.ir import Call, Environment, Parameter
        >>> environment = Environment({"bias": torch.ones(2)}.__getitem__, torch.float64, torch.device("cpu"))
        >>> environment(Call(torch.add, (Parameter("bias"), 1.0)))
        tensor([2., 2.], dtype=torch.float64)
    """

    def __init__(self, lookup: Callable[[str], Tensor], dtype: torch.dtype, device: torch.device):
        self._lookup = lookup
        self.dtype = dtype
        self.device = device
        self._values: dict[Expression, Any] = {}
        self._exact: dict[Expression, Any] = {}

    @property
    def lookup(self) -> Callable[[str], Tensor]:
        """Resolves a qualified name to the live tensor."""
        return self._lookup

    def __call__(self, expression: Expression) -> Tensor:
        if expression not in self._values:
            # A parameter itself needs no detour through float64.
            value = self._lookup(expression.name) if isinstance(expression, Parameter) else self._evaluate(expression)
            self._values[expression] = self._convert(value, self.dtype)
        return self._values[expression]

    def _evaluate(self, expression: Expression) -> Any:
        """The value in float64, before it is rounded to `dtype`."""
        if expression not in self._exact:
            if isinstance(expression, Parameter):
                value: Any = self._lookup(expression.name)
            else:
                assert isinstance(expression, Call)
                kwargs = {key: self._argument(value) for key, value in expression.kwargs}
                value = expression.target(*(self._argument(a) for a in expression.args), **kwargs)
            self._exact[expression] = self._convert(value, torch.float64)
        return self._exact[expression]

    def _argument(self, value: Any) -> Any:
        if isinstance(value, Expression):
            return self._evaluate(value)
        if isinstance(value, (tuple, list)):
            return type(value)(self._argument(item) for item in value)
        return value

    def _convert(self, value: Any, dtype: torch.dtype) -> Any:
        if not isinstance(value, Tensor):
            return value
        if value.is_floating_point():
            return value.to(device=self.device, dtype=dtype)
        return value.to(device=self.device)
