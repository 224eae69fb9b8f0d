"""Which ATen operation is lowered by which rule.

A rule takes a `Builder` and the operation's arguments in the order of its ATen schema, defaults filled in, and returns
the resulting node (or a tuple of them). An operation with a rule is kept whole by the decomposition before lowering.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from torch._ops import OpOverload

Rule = Callable[..., Any]
_R = TypeVar("_R", bound=Callable[..., Any])

_RULES: dict[OpOverload, Rule] = {}
_READS_BATCH_SIZE: set[OpOverload] = set()


def lowers(*targets: OpOverload, reads_batch_size: bool = False) -> Callable[[_R], _R]:
    """Register a function `(builder, *arguments) -> Node` as the rule of ATen operations: `@lowers(aten.relu.default)`.

    With `reads_batch_size` an argument may mention the batch size (a target shape may); for all other operations that
    makes the result depend on a sample's batch-mates and is refused before the rule runs.

    Raises:
        ValueError: an operation has a rule already.
    """

    def register(rule: _R) -> _R:
        for target in targets:
            if target in _RULES:
                owner = _RULES[target].__qualname__
                raise ValueError(f"{target} is already lowered by {owner}; remove one of the two rules")
            _RULES[target] = rule
            if reads_batch_size:
                _READS_BATCH_SIZE.add(target)
        return rule

    return register


def rule_for(target: Any) -> Rule | None:
    """The rule of an operation, or None."""
    return _RULES.get(target)


def reads_batch_size(target: Any) -> bool:
    """Whether the operation's arguments may mention the batch size."""
    return target in _READS_BATCH_SIZE


def registered() -> tuple[OpOverload, ...]:
    """All operations that have a rule."""
    return tuple(_RULES)
