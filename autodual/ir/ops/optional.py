"""Expressions that may be absent."""

from __future__ import annotations

from torch import Tensor

from autodual.ir.expressions import Environment, Expression


def optional(expression: Expression | None, environment: Environment) -> Tensor | None:
    """The value of an `expression` in an `environment`; None if the expression is None."""
    return None if expression is None else environment(expression)
