"""Which ONNX operator is lowered by which rule.

A rule takes an `OnnxBuilder`, the operator's `Attributes` and its operands in the order of the ONNX specification
(None where one is left out), and returns its results: a Branch or Static, or a tuple of them. Operators whose operands
are all constant are folded and need no rule.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from autodual.registration import require_free

Rule = Callable[..., Any]
_R = TypeVar("_R", bound=Callable[..., Any])

_RULES: dict[tuple[str, str], Rule] = {}


def onnx_op(*names: str, domain: str = "", replace: bool = False) -> Callable[[_R], _R]:
    """Register a function `(builder, attributes, *operands)` as the rule of ONNX operators.

    A function that is defined again, as cells of a notebook are run again, takes the place of the one of the same
    module and qualified name.

    Args:
        names: operators, as ONNX spells them.
        domain: the operators' domain; that of the standard operators by default.
        replace: take the place of any other rule too.

    Returns:
        A decorator that registers a function and returns it as it is.

    Raises:
        ValueError: an operator has a rule of another name already.

    Example:
        >>> from autodual.frontend.onnx import onnx_op
        >>> from autodual.ir import ops
        >>> @onnx_op("Squash", domain="com.example")
        ... def squash(builder, attributes, x):
        ...     return builder.unary(ops.Tanh(), x)
    """

    def register(rule: _R) -> _R:
        for name in names:
            if not replace:
                require_free(name, _RULES.get((domain, name)), rule)
        for name in names:
            _RULES[domain, name] = rule
        return rule

    return register


def rule_for(domain: str, name: str) -> Rule | None:
    """The rule of an operator, or None."""
    return _RULES.get((domain, name))


def registered() -> tuple[tuple[str, str], ...]:
    """Domain and name of all operators that have a rule."""
    return tuple(_RULES)
