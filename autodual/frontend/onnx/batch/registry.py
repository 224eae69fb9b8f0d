"""Which rule says where the samples are in an operator's results; operators without a rule are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from autodual.frontend.onnx.batch.operation import Layout, Operation

Places: TypeAlias = "Layout | tuple[Layout | None, ...]"
"""Where the samples are in the result, or in each of several; None for a result that must not be read."""
Rule = Callable[[Operation], Places]

_RULES: dict[str, Rule] = {}


def batch_rule(*names: str) -> Callable[[Rule], Rule]:
    """Register the rule of standard ONNX operators.

    A rule raises `Mixing` unless each sample's result depends on that sample alone, and on each in the same way; it
    changes the operation's node and constants to those of one sample where they name the batch size.
    """

    def register(rule: Rule) -> Rule:
        _RULES.update(dict.fromkeys(names, rule))
        return rule

    return register


def batch_rule_for(name: str) -> Rule | None:
    """The rule of a standard operator, or None."""
    return _RULES.get(name)
