"""How far constants that a network computes from its parameters while it runs are from what they are exactly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from autodual.ir.expressions import Call, Environment, Expression, Parameter

# Roundings charged for each operation: two for the operation itself (rsqrt has as many), two more for other orders,
# such as ((x - μ)·r)·γ + β for the x·(rγ) + (β - μ(rγ)) of batch norms.
_ROUNDINGS = 4
# The errors are computed in float64, of numbers that are rounded themselves.
_SAFETY = 1.01
#: Functions that move, copy or drop numbers.
_MOVES = {
    *("alias", "cat", "clone", "contiguous", "detach", "expand", "flatten", "flip", "narrow", "permute", "reshape"),
    *("select", "slice", "squeeze", "stack", "t", "transpose", "unsqueeze", "view"),
}

#: Functions that make tensors of one number that stands in the program.
_FILLS = {"full", "full_like", "new_full", "zeros", "zeros_like", "new_zeros", "ones", "ones_like", "new_ones"}


class Unanalysed(Exception):
    """What has no rounding analysis; the message says what, as in "how softmax is computed"."""


class Inexact(NamedTuple):
    """A number as float64 computes it, and how far a run's may be from it."""

    value: Any
    error: Any


class ConstantErrors(Environment):
    """Evaluates expressions to how far a run in the dtype `run` may be from their values, as tensors of `dtype`.

    Whole numbers stay what they are. Raises Unanalysed for functions that it does not know.
    """

    def __init__(
        self, lookup: Callable[[str], Tensor], dtype: torch.dtype, device: torch.device, run: torch.dtype
    ) -> None:
        super().__init__(lookup, dtype, device)
        self._run = run
        self._limits = torch.finfo(run)
        self._inexact: dict[Expression, Inexact] = {}

    def exact(self, expression: Expression) -> bool:
        """Whether it is a parameter that a run takes as it is stored, or whole numbers, such as places to read."""
        if not isinstance(expression, Parameter):
            return not self._pair(expression).value.is_floating_point()
        dtype = self._lookup(expression.name).dtype
        return not dtype.is_floating_point or torch.promote_types(dtype, self._run) == self._run

    def __call__(self, expression: Expression) -> Tensor:
        value, error = self._pair(expression)
        if not value.is_floating_point():
            return value
        return (_SAFETY * error).to(self.dtype)

    def _pair(self, expression: Expression) -> Inexact:
        if expression not in self._inexact:
            if isinstance(expression, Parameter):
                self._inexact[expression] = self._stored(self._lookup(expression.name).detach().to(self.device))
            else:
                assert isinstance(expression, Call)
                self._inexact[expression] = self._called(expression)
        return self._inexact[expression]

    def _stored(self, value: Tensor) -> Inexact:
        if not value.is_floating_point():
            return Inexact(value, value)
        return Inexact(value.double(), (value.double() - value.to(self._run).double()).abs())

    def _called(self, call: Call) -> Inexact:
        name = getattr(getattr(call.target, "_schema", None), "name", getattr(call.target, "__name__", ""))
        name = name.rpartition("::")[2]
        if name == "scalar":
            return self._stored(call.target(*call.args).to(self.device))
        if name in _MOVES:
            arguments = [self._argument_pair(argument) for argument in call.args]
            value, error = (call.target(*[pair[part] for pair in arguments], **dict(call.kwargs)) for part in (0, 1))
            return Inexact(value, error)
        if name in _FILLS and not any(isinstance(argument, Expression) for argument in call.args[1:]):
            return self._filled(self._evaluate(call))
        operation = _OPERATIONS.get(name)
        if operation is None or call.kwargs:
            value = self._evaluate(call)
            if not (isinstance(value, Tensor) and value.is_floating_point()):
                return Inexact(value, value)
            raise Unanalysed(f"how a constant is computed by {name or call.target}")
        return self._rounded(*operation(*(self._number(argument) for argument in call.args)))

    def _rounded(self, value: Tensor, error: Tensor) -> Inexact:
        """What a run computes of numbers that are off by so much already."""
        reached = value.abs() + error
        error = error + _ROUNDINGS * (self._limits.eps / 2 * reached + self._limits.tiny)
        # A run may lose what is too small for its dtype, and has infinity for what is too large.
        return Inexact(value, torch.where(reached < self._limits.max / 2, error, torch.inf))

    def _filled(self, value: Tensor) -> Inexact:
        """One number everywhere, which torch may have rounded to the run's dtype or to that of the bounds already."""
        if not value.is_floating_point():
            return Inexact(value, value)
        limits = torch.finfo(self.dtype)
        return self._rounded(value.double(), limits.eps * value.double().abs() + limits.tiny)

    def _argument_pair(self, argument: Any) -> tuple[Any, Any]:
        """An argument of a function that moves numbers, once with their values and once with their errors."""
        if isinstance(argument, Expression):
            return self._pair(argument)
        if isinstance(argument, (tuple, list)):
            pairs = [self._argument_pair(item) for item in argument]
            return [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        return argument, argument

    def _number(self, argument: Any) -> Inexact:
        if isinstance(argument, Expression):
            found = self._pair(argument)
            return found if found.value.is_floating_point() else self._stored(found.value.double())
        return self._stored(torch.tensor(argument, dtype=torch.float64, device=self.device))


class ConstantSizes(ConstantErrors):
    """Evaluates expressions to |c| + share · e, where e is what a run may be off by from the constant c: then what is
    charged relative to a constant's size, by a factor of at least 1/share, pays for this error, too.
    """

    def __init__(self, environment: Environment, run: torch.dtype, share: float) -> None:
        super().__init__(environment.lookup, environment.dtype, environment.device, run)
        self._share = share

    def __call__(self, expression: Expression) -> Tensor:
        value, error = self._pair(expression)
        if not value.is_floating_point():
            return value
        return (value.abs() + self._share * (_SAFETY * error)).to(self.dtype)


def _product(a: Inexact, b: Inexact) -> tuple[Tensor, Tensor]:
    return a.value * b.value, a.value.abs() * b.error + b.value.abs() * a.error + a.error * b.error


def _quotient(a: Inexact, b: Inexact) -> tuple[Tensor, Tensor]:
    value = a.value / b.value
    return value, (a.error + value.abs() * b.error) / (b.value.abs() - b.error).clamp(min=0)


def _root(a: Inexact) -> tuple[Tensor, Tensor]:
    value = a.value.sqrt()
    return value, a.error / (value + (a.value - a.error).clamp(min=0).sqrt())


def _inverse_root(a: Inexact) -> tuple[Tensor, Tensor]:
    return _quotient(Inexact(torch.ones_like(a.value), torch.zeros_like(a.value)), Inexact(*_root(a)))


_OPERATIONS: dict[str, Callable[..., tuple[Tensor, Tensor]]] = {
    "add": lambda a, b: (a.value + b.value, a.error + b.error),
    "sub": lambda a, b: (a.value - b.value, a.error + b.error),
    "mul": _product,
    "div": _quotient,
    "neg": lambda a: (-a.value, a.error),
    "abs": lambda a: (a.value.abs(), a.error),
    "sqrt": _root,
    "rsqrt": _inverse_root,
    "reciprocal": lambda a: _quotient(Inexact(torch.ones_like(a.value), torch.zeros_like(a.value)), a),
}
