"""The registry: op type → rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from autodual.dual.rule import AffineRule, NonlinearRule
from autodual.ir.op import Op

RuleClass = TypeVar("RuleClass", bound="type[AffineRule] | type[NonlinearRule]")

_RULES: dict[type[Op], AffineRule | NonlinearRule] = {}


def dual_rule(*ops: type[Op]) -> Callable[[RuleClass], RuleClass]:
    """Class decorator: the rule of these op types. Raises ValueError where one has a rule already."""

    def register(rule: RuleClass) -> RuleClass:
        for op in ops:
            if op in _RULES:
                raise ValueError(f"{op.__name__} already has the dual rule {type(_RULES[op]).__name__}")
            _RULES[op] = rule()
        return rule

    return register


def find_rule(op: Op) -> AffineRule | NonlinearRule | None:
    """The rule of an op, or None; an op class inherits no rule from its base classes."""
    return _RULES.get(type(op))


def registered() -> Iterator[tuple[type[Op], AffineRule | NonlinearRule]]:
    """All op types that have a rule, in the order of registration."""
    yield from _RULES.items()
