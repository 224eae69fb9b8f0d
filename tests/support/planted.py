"""Checks that a planted mistake in a dual rule is found, and by which message."""

from __future__ import annotations

import re

import pytest

from autodual.ir import Op
from autodual.testing import DualRuleError, check_dual_rule

INTERVAL = re.compile(r"over \[-?(\d|nan|inf).*, -?(\d|nan|inf).*\]")


def caught(rule, op: Op, said: str, interval: bool = True, **options) -> str:
    """The message of the failure; it must match `said`."""
    with pytest.raises(DualRuleError, match=said) as failure:
        check_dual_rule(rule, op, **options)
    message = str(failure.value)
    assert type(rule).__name__ in message and type(op).__name__ in message and "float64" in message
    if interval:
        assert INTERVAL.search(message), message
    return message
