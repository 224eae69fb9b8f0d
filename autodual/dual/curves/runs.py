"""Rules of declared functions whose execution errors exceed what their declarations say."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from autodual.dual.curves.declared import DeclaredRule
from autodual.dual.execution import LIBRARY, Executed, Run
from autodual.dual.registry import dual_rule
from autodual.ir import ops


@dual_rule(ops.Clamp)
class ClampRule(DeclaredRule):
    """Hardtanh (Corollary 6, corrected), ReLU6, clip: convex at the lower end, concave at the upper."""

    source = "Corollary 6, corrected"

    def executed(self, op: ops.Clamp, operands: Sequence[Executed], run: Run) -> Tensor | None:
        """Adds the error of rounding the ends to the run's precision."""
        found = super().executed(op, operands, run)
        ends = [abs(end) for end in (op.lower, op.upper) if end is not None]
        return None if found is None else found + run.precision.unit * max(ends, default=0.0)


@dual_rule(ops.Within)
class WithinRule(ClampRule):
    """Known bounds of the operand, as a clamp that changes no value."""

    stated = True

    def executed(self, op: ops.Clamp, operands: Sequence[Executed], run: Run) -> Tensor:
        return operands[0].error


@dual_rule(ops.Power)
class PowerRule(DeclaredRule):
    """Powers: convex or concave on each side of zero, by the exponent."""

    def executed(self, op: ops.Power, operands: Sequence[Executed], run: Run) -> Tensor | None:
        """A whole exponent may be run as repeated multiplication. Any other may be rounded by a relative δ, which turns
        a value v into v^(1 + δ): an error of v·log v·δ to first order.
        """
        found = super().executed(op, operands, run)
        assert found is not None
        size, unit = self.range(op, [operands[0].reached], run.environment).magnitude, run.precision.unit
        if op.whole:
            return found + max(abs(op.exponent) - LIBRARY, 0) * unit * size
        held = (math.frexp(op.exponent)[0] / unit).is_integer()
        return found if held else found + 2 * unit * torch.xlogy(size, size).abs()

    def hazard(self, op: ops.Power) -> str:
        return "a denominator may be zero" if op.exponent < 0 else "the operand of a root may be negative"
