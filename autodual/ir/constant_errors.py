"""Errors of constants that a network computes from its parameters while it runs, against their exact values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
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

# Roundings charged per operation: two for the operation itself (rsqrt has as many), two more for other orders, such as
# ((x - μ)·r)·γ + β for the x·(rγ) + (β - μ(rγ)) of batch norms.
_ROUNDINGS = 4
# Roundings charged for library functions, as in `autodual/ir/scalars/declaration.py`.
_LIBRARY = 16
_SIMPLE = {"add", "sub", "rsub", "mul", "div", "neg", "abs", "square", "sqrt", "rsqrt", "reciprocal", "scalar"}
# The errors are computed in float64, and so are rounded themselves.
_SAFETY = 1.01


__all__ = ["ConstantErrors", "ConstantSizes", "Unanalysed"]


class ConstantErrors(Environment):
    """Evaluates expressions to bounds of their errors in a run in the dtypes `runs`, as tensors of `dtype`.

    Integers evaluate to themselves. Raises Unanalysed for functions without an error analysis.
    """

    def __init__(
        self, lookup: Callable[[str], Tensor], dtype: torch.dtype, device: torch.device, *runs: torch.dtype
    ) -> None:
        super().__init__(lookup, dtype, device)
        self._runs = runs
        self._precision = Precision.of(*runs)
        self._inexact: dict[Expression, Inexact] = {}
        self._exactly: dict[Expression, bool] = {}

    def exact(self, expression: Expression) -> bool:
        """Whether a run uses the stored value of `expression`, or it has integers, such as indices."""
        if not isinstance(expression, Parameter):
            return not self._pair(expression).value.is_floating_point()
        if expression not in self._exactly:
            self.look([expression])
        return self._exactly[expression]

    def look(self, expressions: Iterable[Expression]) -> None:
        """Find out which parameters among some expressions are exact, all at once, since a GPU must tell.

        Args:
            expressions: of any kind; those that are no parameters are left.
        """
        stored = [one for one in dict.fromkeys(expressions) if isinstance(one, Parameter)]
        if stored:
            pairs = [self._pair(one) for one in stored]
            inexact = torch.stack([error.any() & value.is_floating_point() for value, error in pairs])
            self._exactly |= {one: not found for one, found in zip(stored, inexact.tolist())}

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
        """A stored number: exact if its dtype is one of the run's, except that a run may flush denormals to zero."""
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
        """The result of a function of integers and booleans."""
        value = self._evaluate(call)
        if not isinstance(value, Tensor) or not value.is_floating_point():
            return Inexact(value, value)
        if name in COUNTS or name in CASTS:
            stored = self._stored(value)
            return self._rounded("scalar", Found(*stored)) if name in ("arange", "linspace") else stored
        raise Unanalysed(f"how a constant is computed by {name or call.target}")

    def _converted(self, call: Call, name: str, arguments: list[Any]) -> Inexact:
        """A conversion to another dtype, or the run's if that is narrower; rounding may increase the error."""
        value = self._evaluate(call)
        if not value.is_floating_point():
            return self._whole(call, name, arguments)
        error, stored = arguments[0].error, self._stored(value)
        targets = [one for one in (*call.args, *dict(call.kwargs).values()) if isinstance(one, torch.dtype)]
        widest = max(torch.finfo(one).eps for one in [*targets, *self._runs] if one.is_floating_point)
        apart = error + widest * (value.abs() + error) + self._precision.tiny
        return Inexact(value, stored.error + torch.where(error == 0, 0.0, apart))

    def _whole(self, call: Call, name: str, arguments: list[Any]) -> Inexact:
        """The result of any other function: allowed if it is not floating-point and is the same in every run."""
        value = self._evaluate(call)
        if isinstance(value, Tensor) and (value.is_floating_point() or value.is_complex()):
            raise Unanalysed(f"how a constant is computed by {name or call.target}")
        numbers = [*_numbers(arguments), *(self._number(one) for one in arguments if isinstance(one, float))]
        if not certain(name, [number for number in numbers if number.value.is_floating_point()]):
            raise Unanalysed(f"the result of {name} for constants that a run rounds")
        return Inexact(value, value)

    def _rounded(self, name: str, found: Found) -> Inexact:
        """A result with the rounding error of its operation added to the error of its numbers."""
        precision = self._precision
        size = (found.value.abs() if found.size is None else found.size) + found.error
        factors = _ROUNDINGS if name in _SIMPLE else _ROUNDINGS + _LIBRARY
        own = precision.off(found.terms, factors) * size + 2 * (found.terms + 2) * precision.tiny
        # A run may underflow to 0; it overflows to infinity.
        fits = size * max(found.terms, 1) < precision.largest / 2
        return Inexact(found.value, torch.where(fits, found.error + own, torch.inf))

    def _filled(self, value: Tensor) -> Inexact:
        """A tensor of one literal, which torch may already have rounded to the dtype of the run or of the bounds."""
        if not value.is_floating_point():
            return Inexact(value, value)
        limits = torch.finfo(self.dtype)
        return self._rounded("scalar", Found(value.double(), limits.eps * value.double().abs() + limits.tiny))

    def _argument_pair(self, argument: Any) -> Any:
        """An argument of a function; expressions, also inside lists, as a number and its error."""
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
    """Evaluates expressions to |c| + share · e for a constant c with the error e in a run: then a charge of at least
    1/share times a constant's size pays for this error, too.
    """

    def __init__(self, environment: Environment, run: torch.dtype, share: float) -> None:
        super().__init__(environment.lookup, environment.dtype, environment.device, run)
        self._share = share

    def __call__(self, expression: Expression) -> Tensor:
        value, error = self._pair(expression)
        if not value.is_floating_point():
            return value
        return (value.abs() + self._share * (_SAFETY * error)).to(self.dtype)
