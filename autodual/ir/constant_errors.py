"""How far constants that a network computes from its parameters while it runs are from what they are exactly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from autodual.ir.constant_operations import (
    CASTS,
    COMPOSED,
    COUNTS,
    EXACT,
    FILLS,
    MOVES,
    OPERATIONS,
    Found,
    Inexact,
    Unanalysed,
    certain,
    parts_of,
)
from autodual.ir.expressions import Call, Environment, Expression, Parameter
from autodual.ir.precision import Precision

# Roundings charged for each operation: two for the operation itself (rsqrt has as many), two more for other orders,
# such as ((x - μ)·r)·γ + β for the x·(rγ) + (β - μ(rγ)) of batch norms.
_ROUNDINGS = 4
# Those of functions of libraries, see `autodual/dual/execution.py`.
_LIBRARY = 16
_SIMPLE = {"add", "sub", "rsub", "mul", "div", "neg", "abs", "square", "sqrt", "rsqrt", "reciprocal", "scalar"}
# The errors are computed in float64, of numbers that are rounded themselves.
_SAFETY = 1.01


__all__ = ["ConstantErrors", "ConstantSizes", "Unanalysed"]


class ConstantErrors(Environment):
    """Evaluates expressions to how far a run in the dtypes `runs` may be from their values, as tensors of `dtype`.

    Whole numbers stay what they are. Raises Unanalysed for functions that it does not know.
    """

    def __init__(
        self, lookup: Callable[[str], Tensor], dtype: torch.dtype, device: torch.device, *runs: torch.dtype
    ) -> None:
        super().__init__(lookup, dtype, device)
        self._runs = runs
        self._precision = Precision.of(*runs)
        self._inexact: dict[Expression, Inexact] = {}

    def exact(self, expression: Expression) -> bool:
        """Whether a run takes it as it is stored, or it is whole numbers, such as places to read."""
        value, error = self._pair(expression)
        return not value.is_floating_point() or (isinstance(expression, Parameter) and not bool(error.any()))

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
        """A number in its own dtype: exact if that is one of the run's, but for what a run may flush to zero."""
        if not value.is_floating_point():
            return Inexact(value, value)
        exact = value.double()
        if value.dtype in self._runs and value.dtype.itemsize <= min(run.itemsize for run in self._runs):
            error = torch.zeros_like(exact)
        else:
            rounded = torch.stack([value.to(run).double() for run in self._runs])
            error = torch.where(rounded == exact, 0.0, (rounded - exact).abs()).amax(0)
            error = torch.where(error.isnan(), torch.inf, error)
        return Inexact(exact, torch.where(exact.abs() < self._precision.tiny, exact.abs().maximum(error), error))

    def _called(self, call: Call) -> Inexact:
        name = getattr(getattr(call.target, "_schema", None), "name", getattr(call.target, "__name__", ""))
        name = name.rpartition("::")[2]
        if name == "scalar":
            return self._stored(call.target(*call.args).to(self.device))
        if name in FILLS and not any(isinstance(argument, Expression) for argument in call.args[1:]):
            return self._filled(self._evaluate(call))
        stated = getattr(call.target, "off", None)
        if stated is not None:
            value = self._evaluate(call)
            return self._rounded(name, Found(value, stated(value, self._precision.unit)))
        arguments = [self._argument_pair(argument) for argument in call.args]
        if not any(number.value.is_floating_point() for number in _numbers(arguments)):
            return self._counted(call, name)
        if name in MOVES:
            value, error = (call.target(*parts_of(arguments, part), **dict(call.kwargs)) for part in (0, 1))
            return Inexact(value, error)
        if name in CASTS:
            return self._converted(call, name, arguments)
        if name in OPERATIONS and not call.kwargs:
            return self._applied(name, *arguments)
        if name in COMPOSED and not call.kwargs:
            function, count = COMPOSED[name]
            return function(self._applied, *map(self._number, arguments[:count]), *arguments[count:])
        return self._whole(call, name, arguments)

    def _applied(self, name: str, *arguments: Any) -> Inexact:
        operation, count = OPERATIONS[name]
        found = operation(*map(self._number, arguments[:count]), *arguments[count:])
        return Inexact(found.value, found.error) if name in EXACT else self._rounded(name, found)

    def _counted(self, call: Call, name: str) -> Inexact:
        """Of whole numbers and truth values."""
        value = self._evaluate(call)
        if not isinstance(value, Tensor) or not value.is_floating_point():
            return Inexact(value, value)
        if name in COUNTS or name in CASTS:
            stored = self._stored(value)
            return self._rounded("scalar", Found(*stored)) if name in ("arange", "linspace") else stored
        raise Unanalysed(f"how a constant is computed by {name or call.target}")

    def _converted(self, call: Call, name: str, arguments: list[Any]) -> Inexact:
        """Rounded to another dtype, or the run's if that is narrower, which may take numbers further apart."""
        value = self._evaluate(call)
        if not value.is_floating_point():
            return self._whole(call, name, arguments)
        error, stored = arguments[0].error, self._stored(value)
        targets = [one for one in (*call.args, *dict(call.kwargs).values()) if isinstance(one, torch.dtype)]
        widest = max(torch.finfo(one).eps for one in [*targets, *self._runs] if one.is_floating_point)
        apart = error + widest * (value.abs() + error) + self._precision.tiny
        return Inexact(value, stored.error + torch.where(error == 0, 0.0, apart))

    def _whole(self, call: Call, name: str, arguments: list[Any]) -> Inexact:
        """The result of another function, if it is no floating-point number: of numbers that a run has exactly."""
        value = self._evaluate(call)
        if isinstance(value, Tensor) and (value.is_floating_point() or value.is_complex()):
            raise Unanalysed(f"how a constant is computed by {name or call.target}")
        numbers = [*_numbers(arguments), *(self._number(one) for one in arguments if isinstance(one, float))]
        if not certain(name, [number for number in numbers if number.value.is_floating_point()]):
            raise Unanalysed(f"what {name} makes of constants that a run rounds")
        return Inexact(value, value)

    def _rounded(self, name: str, found: Found) -> Inexact:
        """What a run computes of numbers that are off by so much already."""
        precision = self._precision
        size = (found.value.abs() if found.size is None else found.size) + found.error
        factors = _ROUNDINGS if name in _SIMPLE else _ROUNDINGS + _LIBRARY
        own = precision.off(found.terms, factors) * size + 2 * (found.terms + 2) * precision.tiny
        # A run may lose what is too small for its dtype, and has infinity for what is too large.
        fits = size * max(found.terms, 1) < precision.largest / 2
        return Inexact(found.value, torch.where(fits, found.error + own, torch.inf))

    def _filled(self, value: Tensor) -> Inexact:
        """One number everywhere, which torch may have rounded to the run's dtype or to that of the bounds already."""
        if not value.is_floating_point():
            return Inexact(value, value)
        limits = torch.finfo(self.dtype)
        return self._rounded("scalar", Found(value.double(), limits.eps * value.double().abs() + limits.tiny))

    def _argument_pair(self, argument: Any) -> Any:
        """An argument of a function: a number and its error where it is an expression, also inside lists."""
        if isinstance(argument, Expression):
            return self._pair(argument)
        if isinstance(argument, (tuple, list)):
            return [self._argument_pair(item) for item in argument]
        return argument

    def _number(self, argument: Any) -> Inexact:
        if isinstance(argument, Inexact):
            return argument if argument.value.is_floating_point() else self._stored(argument.value.double())
        return self._stored(torch.tensor(argument, dtype=torch.float64, device=self.device))


def _numbers(arguments: Any) -> Iterator[Inexact]:
    if isinstance(arguments, Inexact):
        values, errors = arguments
        yield from map(Inexact, values, errors) if isinstance(values, (tuple, list)) else [arguments]
    elif isinstance(arguments, (tuple, list)):
        for argument in arguments:
            yield from _numbers(argument)


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
