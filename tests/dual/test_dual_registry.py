"""The registry of dual rules: one rule per op type, found by the exact type."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from autodual.dual import dual_rule, find_rule, registered, registry
from autodual.dual.relu import ReluRule
from autodual.ir import Op, ops


def test_a_second_rule_for_an_op_is_refused() -> None:
    """The first rule stays in place."""
    with pytest.raises(ValueError, match="Relu already has the dual rule ReluRule"):

        @dual_rule(ops.Relu)
        class Other(ReluRule):
            pass

    assert type(find_rule(ops.Relu())) is ReluRule


def _run_again(replace: bool = False, name: str = "TwiceRule") -> type[ReluRule]:
    """Defines the rule as a notebook cell does, which makes a new class at each run."""
    rule = type(name, (ReluRule,), {"__module__": "notebook", "__qualname__": name})
    return dual_rule(Twice, replace=replace)(rule)


@dataclass(frozen=True, eq=False)
class Twice(ops.Relu):
    """An op of a notebook."""


def test_a_rule_may_be_defined_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silently under the same name; under another name only with replace=True."""
    monkeypatch.setattr(registry, "_RULES", dict(registry._RULES))
    first, second = _run_again(), _run_again()
    assert first is not second and type(find_rule(Twice())) is second
    with pytest.raises(ValueError, match="Twice already has the dual rule TwiceRule; pass replace=True"):
        _run_again(name="AnotherRule")
    assert type(find_rule(Twice())) is second
    third = _run_again(name="AnotherRule", replace=True)
    assert type(find_rule(Twice())) is third


def test_rules_are_not_inherited() -> None:
    """A subclass computes something else, or it would not exist; its base's rule could be wrong for it."""

    @dataclass(frozen=True, eq=False)
    class LeakyRelu(ops.Relu):
        slope: float = 0.1

    assert find_rule(LeakyRelu()) is None


def test_every_op_but_the_input_has_a_rule() -> None:
    known = {
        value
        for value in vars(ops).values()
        if isinstance(value, type) and issubclass(value, Op) and value not in (ops.ElementwiseOp, ops.Input)
    }
    assert known == {op for op, _ in registered()}
