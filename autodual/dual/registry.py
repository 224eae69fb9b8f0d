"""The registry: op type → rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from autodual.dual.rule import AffineRule, NonlinearRule
from autodual.ir.op import Op
from autodual.registration import same_definition

RuleClass = TypeVar("RuleClass", bound="type[AffineRule] | type[NonlinearRule]")

_RULES: dict[type[Op], AffineRule | NonlinearRule] = {}


def dual_rule(*ops: type[Op], replace: bool = False) -> Callable[[RuleClass], RuleClass]:
    """Class decorator: the rule of these op types.

    Defining a rule again under the same module and qualified name replaces it, so that notebook cells can be run again.

    Args:
        ops: the op types.
        replace: take the place of any other rule too; dual networks compiled before keep theirs.

    Raises:
        ValueError: an op has a rule of another name already.

    Example:
        >>> import torch
        >>> from dataclasses import dataclass
        >>> from autodual.extend import Curve, CurveRule, ElementwiseOp, dual_rule
        >>> @dataclass(frozen=True, eq=False)
        ... class Cubed(ElementwiseOp):
        ...     def function(self, x):
        ...         return x**3
        >>> @dual_rule(Cubed)
        ... class CubedRule(CurveRule):
        ...     def curve(self, op):
        ...         return Curve(lambda z: z**3, lambda z: 3 * z**2, inflections=(0.0,), convex=False)
    """

    def register(rule: RuleClass) -> RuleClass:
        for op in ops:
            present = _RULES.get(op)
            if present is not None and not replace and not same_definition(type(present), rule):
                raise ValueError(
                    f"{op.__name__} already has the dual rule {type(present).__name__}; pass replace=True to change it"
                )
        for op in ops:
            _RULES[op] = rule()
        return rule

    return register


def find_rule(op: Op) -> AffineRule | NonlinearRule | None:
    """The rule of an op, or None; an op class inherits no rule from its base classes.

    Args:
        op: an op of the graph.

    Example:
        >>> from autodual.dual import find_rule
        >>> from autodual.ir import ops
        >>> type(find_rule(ops.Relu())).__name__
        'ReluRule'
    """
    return _RULES.get(type(op))


def registered() -> Iterator[tuple[type[Op], AffineRule | NonlinearRule]]:
    """All op types that have a rule, in the order of registration, each with its rule.

    Example:
        >>> from autodual.dual import registered
        >>> from autodual.ir import ops
        >>> ops.Relu in dict(registered())
        True
    """
    yield from _RULES.items()
