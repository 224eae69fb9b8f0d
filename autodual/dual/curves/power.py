"""The rule of powers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from autodual.dual.curves.declared import DeclaredRule
from autodual.dual.execution import LIBRARY, Executed, Run
from autodual.dual.registry import dual_rule
from autodual.ir import ops


@dual_rule(ops.Power)
class PowerRule(DeclaredRule):
    """Powers: convex or concave on each side of zero, by the exponent."""

    def executed(self, op: ops.Power, operands: Sequence[Executed], run: Run) -> Tensor | None:
        """A run may multiply as often as a whole exponent says. Of another it may have the nearest number, and of a
        value v then v^(1 + δ), which is off by v·log v·δ to first order.
        """
        found = super().executed(op, operands, run)
        assert found is not None
        size, unit = self.range(op, [operands[0].reached], run.environment).magnitude, run.precision.unit
        if op.whole:
            return found + max(abs(op.exponent) - LIBRARY, 0) * unit * size
        held = (math.frexp(op.exponent)[0] / unit).is_integer()
        return found if held else found + 2 * unit * torch.xlogy(size, size).abs()
