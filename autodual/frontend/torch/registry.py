"""Which ATen operation is lowered by which rule.

A rule takes a `Builder` and the operation's arguments in the order of its ATen schema, defaults filled in, and returns
the resulting node (or a tuple of them). An operation with a rule is kept whole by the decomposition before lowering.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from torch._ops import OpOverload, OpOverloadPacket

from autodual.registration import require_free

Rule = Callable[..., Any]
_R = TypeVar("_R", bound=Callable[..., Any])

_RULES: dict[OpOverload, Rule] = {}
_READS_BATCH_SIZE: set[OpOverload] = set()
_ANY_BATCH_AXIS: set[OpOverload] = set()
_ROUNDS: set[OpOverload] = set()


def lowers(
    *targets: OpOverload | OpOverloadPacket,
    reads_batch_size: bool = False,
    any_batch_axis: bool = False,
    replace: bool = False,
    rounds: bool = False,
) -> Callable[[_R], _R]:
    """Register a function `(builder, *arguments) -> Node` as the rule of operations.

    A function that is defined again, as cells of a notebook are run again, takes the place of the one of the same
    module and qualified name.

    Args:
        targets: operations of ATen or of `torch.library`. One without an overload, such as `torch.ops.mylib.op`, stands
            for all overloads of that operation.
        reads_batch_size: an argument may mention the batch size (a target shape may); for all other operations that
            makes the result depend on a sample's batch-mates and is refused before the rule runs.
        any_batch_axis: the rule also serves tensors whose batch axis is not axis 0. It must take axes from
            `builder.axis`, shapes from `builder.shape` and constants from `builder.beside`, which know where the batch
            axis is.
        replace: take the place of any other rule too.
        rounds: the rule itself accounts for the rounding where the result is of a narrower floating type than an
            operand; for all other operations such a result is refused.

    Returns:
        A decorator that registers a function and returns it as it is.

    Raises:
        ValueError: an operation has a rule of another name already.

    Example:
        >>> import torch
        >>> from autodual.extend import lowers
        >>> @lowers(torch.ops.aten.alias_copy.default)
        ... def lower_alias_copy(builder, x):
        ...     return builder.node(x)
    """

    def register(rule: _R) -> _R:
        chosen = list(_overloads(targets))
        for target in chosen:
            if not replace:
                require_free(target, _RULES.get(target), rule)
        for target in chosen:
            _RULES[target] = rule
            flags = ((_READS_BATCH_SIZE, reads_batch_size), (_ANY_BATCH_AXIS, any_batch_axis), (_ROUNDS, rounds))
            for known, wanted in flags:
                (known.add if wanted else known.discard)(target)
        return rule

    return register


def _overloads(targets: Iterable[OpOverload | OpOverloadPacket]) -> Iterator[OpOverload]:
    for target in targets:
        if isinstance(target, OpOverloadPacket):
            yield from (getattr(target, name) for name in target.overloads())
        else:
            yield target


def rule_for(target: Any) -> Rule | None:
    """The rule of an operation, or None."""
    return _RULES.get(target)


def reads_batch_size(target: Any) -> bool:
    """Whether the operation's arguments may mention the batch size."""
    return target in _READS_BATCH_SIZE


def serves_any_batch_axis(target: Any) -> bool:
    """Whether the operation's rule works wherever the batch axis is."""
    return target in _ANY_BATCH_AXIS


def accounts_for_rounding(target: Any) -> bool:
    """Whether the operation's rule itself accounts for the rounding to a narrower type."""
    return target in _ROUNDS


def registered() -> tuple[OpOverload, ...]:
    """All operations that have a rule."""
    return tuple(_RULES)
