"""Gives each declared function of one scalar that has no rule of its own the rule of its kind."""

from __future__ import annotations

from autodual.dual.curves import DeclaredRule, WaveRule
from autodual.dual.registry import dual_rule, registered
from autodual.dual.relaxation_rule import RelaxationRule
from autodual.dual.steps import StairRule
from autodual.ir.op import Op
from autodual.ir.scalars import CurveOp, StairOp, WaveOp, declarations

_KINDS: tuple[tuple[type[Op], type[RelaxationRule]], ...] = (
    (CurveOp, DeclaredRule),
    (WaveOp, WaveRule),
    (StairOp, StairRule),
)


def register_kind(op: type[Op]) -> None:
    """Register the rule of its kind for the op class `op`, if the kind has one."""
    for kind, rule in _KINDS:
        if issubclass(op, kind):
            dual_rule(op)(rule)


def _register_declared() -> None:
    known = {op for op, _ in registered()}
    for entry in declarations():
        if entry.op not in known:
            register_kind(entry.op)


_register_declared()
