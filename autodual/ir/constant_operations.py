"""Error propagation through operations on constants: from numbers with errors to a result with its error.

The caller adds the operation's own rounding error; that of sums grows with their length, `Found.terms`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

#: Functions that move, copy or drop numbers.
MOVES = {
    *("alias", "cat", "chunk", "clone", "contiguous", "detach", "expand", "flatten", "flip", "narrow", "permute"),
    *("reshape", "select", "slice", "split", "squeeze", "stack", "t", "transpose", "unsqueeze", "view", "unbind"),
    *("broadcast_to", "diag", "diagonal", "embedding", "getitem", "index_select", "movedim", "mT", "numpy_T", "repeat"),
    *("swapaxes", "tril", "triu", "unflatten", "where"),
}
#: Functions of integers, booleans or literals, whose results are rounded once.
COUNTS = {"truth", "arange", "linspace", "eye", "one_hot"}
#: Functions that round numbers to another dtype.
CASTS = {"_to_copy", "to", "float", "double", "half", "bfloat16", "type_as"}
#: Operations that do not round.
EXACT = {"neg", "abs", "maximum", "minimum", "relu"}

#: Functions that fill tensors with one literal.
FILLS = {"full", "full_like", "new_full", "zeros", "zeros_like", "new_zeros", "ones", "ones_like", "new_ones"} | {
    "scalar_tensor"
}


class Unanalysed(Exception):
    """There is no rounding analysis; the message says of what, as in "how softmax is computed"."""


class Inexact(NamedTuple):
    """A number in float64, and a bound of its error in a run."""

    value: Any
    error: Any


class Found(NamedTuple):
    """A result before rounding. terms: the number of terms of a sum; size: Σ|terms|, or None for |value|."""

    value: Tensor
    error: Tensor
    terms: int = 1
    size: Tensor | None = None


Operation = Callable[..., Found]


def _add(a: Inexact, b: Inexact) -> Found:
    return Found(a.value + b.value, a.error + b.error)


def _subtract(a: Inexact, b: Inexact) -> Found:
    return Found(a.value - b.value, a.error + b.error)


def _product(a: Inexact, b: Inexact) -> Found:
    return Found(a.value * b.value, a.value.abs() * b.error + b.value.abs() * a.error + a.error * b.error)


def _quotient(a: Inexact, b: Inexact) -> Found:
    value = a.value / b.value
    return Found(value, (a.error + value.abs() * b.error) / (b.value.abs() - b.error).clamp(min=0))


def _root(a: Inexact) -> Found:
    value = a.value.sqrt()
    return Found(value, a.error / (value + (a.value - a.error).clamp(min=0).sqrt()))


def _reciprocal(a: Inexact) -> Found:
    return _quotient(Inexact(torch.ones_like(a.value), torch.zeros_like(a.value)), a)


def _inverse_root(a: Inexact) -> Found:
    return _reciprocal(Inexact(*_root(a)[:2]))


def _monotone(function: Callable[[Tensor], Tensor]) -> Operation:
    """A monotone function: its error from its values at both ends; infinite where these are NaN, as for log -1."""

    def found(a: Inexact) -> Found:
        value = function(a.value)
        ends = [(function(a.value + sign * a.error) - value).abs() for sign in (-1, 1)]
        # The rounding of float64 itself, which may exceed the distance of the ends.
        error = ends[0].maximum(ends[1]) + 2.0**-50 * value.abs()
        return Found(value, torch.where(error.isnan(), torch.inf, error))

    return found


def _steady(function: Callable[..., Tensor]) -> Operation:
    """A function with a Lipschitz constant of 1 in the maximum norm."""

    def found(*numbers: Inexact) -> Found:
        error = numbers[0].error
        for number in numbers[1:]:
            error = torch.maximum(error, number.error)
        return Found(function(*(number.value for number in numbers)), error)

    return found


def _power(a: Inexact, exponent: Inexact) -> Found:
    """A power with one exponent: repeated products for whole exponents up to 64, else of positive numbers."""
    if exponent.value.numel() > 1:
        raise Unanalysed("how a constant is computed by powers of several exponents")
    p = float(exponent.value)
    if p.is_integer() and 0 <= p <= 64:
        found = Found(torch.ones_like(a.value), torch.zeros_like(a.error))
        for _ in range(int(p)):
            found = _product(Inexact(found.value, found.error), a)
        return found._replace(terms=max(int(p), 1))
    found = _monotone(lambda x: torch.where(x > 0, x, math.nan).pow(p))(a)
    return found._replace(error=found.error + 2 * float(exponent.error) * torch.xlogy(found.value, a.value).abs())


def _sum(a: Inexact, *how: Any) -> Found:
    value = a.value.sum(*how)
    return Found(value, a.error.sum(*how), max(a.value.numel() // max(value.numel(), 1), 1), a.value.abs().sum(*how))


def _mean(a: Inexact, *how: Any) -> Found:
    value = a.value.mean(*how)
    return Found(value, a.error.mean(*how), max(a.value.numel() // max(value.numel(), 1), 1), a.value.abs().mean(*how))


def _running_sum(a: Inexact, axis: int) -> Found:
    return Found(a.value.cumsum(axis), a.error.cumsum(axis), a.value.shape[axis], a.value.abs().cumsum(axis))


def _matrix_product(a: Inexact, b: Inexact) -> Found:
    size = a.value.abs() @ b.value.abs()
    error = a.value.abs() @ b.error + a.error @ (b.value.abs() + b.error)
    return Found(a.value @ b.value, error, a.value.shape[-1], size)


#: By name of a function: its rule, and how many of its arguments are numbers; the rest are options such as axes.
OPERATIONS: dict[str, tuple[Operation, int]] = {
    "add": (_add, 2),
    "sub": (_subtract, 2),
    "rsub": (lambda a, b: _subtract(b, a), 2),
    "mul": (_product, 2),
    "div": (_quotient, 2),
    "neg": (lambda a: Found(-a.value, a.error), 1),
    "abs": (lambda a: Found(a.value.abs(), a.error), 1),
    "square": (lambda a: _product(a, a), 1),
    "sqrt": (_root, 1),
    "rsqrt": (_inverse_root, 1),
    "reciprocal": (_reciprocal, 1),
    "pow": (_power, 2),
    "maximum": (_steady(torch.maximum), 2),
    "minimum": (_steady(torch.minimum), 2),
    "sin": (_steady(torch.sin), 1),
    "cos": (_steady(torch.cos), 1),
    "sum": (_sum, 1),
    "mean": (_mean, 1),
    "cumsum": (_running_sum, 1),
    **dict.fromkeys(("matmul", "mm", "mv", "dot", "bmm"), (_matrix_product, 2)),
    **{
        name: (_monotone(getattr(torch, name)), 1)
        for name in ("exp", "expm1", "log", "log1p", "tanh", "sigmoid", "erf", "atan", "relu", "sinh", "asinh")
    },
    "softplus": (_monotone(torch.nn.functional.softplus), 1),
}


#: Applies the operation of a name to numbers and options, and rounds its result.
Apply = Callable[..., Inexact]


def _weight_norm(apply: Apply, v: Inexact, g: Inexact, dim: int = 0) -> Inexact:
    """g·v/‖v‖, the norm over all axes but one."""
    axes = [axis for axis in range(v.value.dim()) if dim == -1 or axis != dim % v.value.dim()]
    return apply("mul", g, apply("div", v, _length(apply, v, axes, True)))


def _length(apply: Apply, x: Inexact, axes: Any, keepdim: bool = False) -> Inexact:
    return apply("sqrt", apply("sum", apply("mul", x, x), axes, keepdim))


def _vector_norm(
    apply: Apply, x: Inexact, order: float = 2, axes: Any = None, keepdim: bool = False, *_: Any
) -> Inexact:
    if order not in (1, 2):
        raise Unanalysed(f"how a constant is computed by a norm of order {order}")
    every = tuple(range(x.value.dim())) if axes is None else axes
    return apply("sum", apply("abs", x), every, keepdim) if order == 1 else _length(apply, x, every, keepdim)


def _mask_weights(apply: Apply, mask: Inexact, axis: int) -> Inexact:
    """Weights that only the graph has and no run computes (`ShiftedExponents`): their error is that of the mask."""
    largest = mask.value.amax(axis, keepdim=True) if mask.value.dim() >= -axis else mask.value
    value = (mask.value - largest).exp().nan_to_num()
    return Inexact(value, value * (2 * mask.error.amax()).expm1())


#: By name of a function made of several operations: its rule, and how many of its arguments are numbers.
COMPOSED: dict[str, tuple[Callable[..., Inexact], int]] = {
    "_weight_norm": (_weight_norm, 2),
    "linalg_vector_norm": (_vector_norm, 1),
    "mask_weights": (_mask_weights, 1),
}


_COMPARISONS = {"lt", "le", "gt", "ge", "eq", "ne"}


def certain(name: str, numbers: Sequence[Inexact]) -> bool:
    """Whether the function `name` of these `numbers`, such as a comparison, has the same result in every run."""
    if not any(bool(number.error.any()) for number in numbers):
        return True
    if name not in _COMPARISONS or len(numbers) != 2:
        return False
    first, second = numbers
    return bool(((first.value - second.value).abs() > first.error + second.error).all())


def parts_of(arguments: Sequence[Any], part: int) -> list[Any]:
    """The values (`part` 0) or errors (`part` 1) of `arguments`, also inside lists."""
    return [
        argument[part]
        if isinstance(argument, Inexact)
        else parts_of(argument, part)
        if isinstance(argument, (tuple, list))
        else argument
        for argument in arguments
    ]
