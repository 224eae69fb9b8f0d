"""The rule of clamps."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from autodual.dual.curves.declared import DeclaredRule
from autodual.dual.execution import Executed, Run
from autodual.dual.registry import dual_rule
from autodual.ir import ops


@dual_rule(ops.Clamp)
class ClampRule(DeclaredRule):
    """Hardtanh (Corollary 6, corrected), ReLU6, clip: convex at the lower end, concave at the upper."""

    source = "Corollary 6, corrected"

    def executed(self, op: ops.Clamp, operands: Sequence[Executed], run: Run) -> Tensor | None:
        """A run has the ends rounded to its precision."""
        found = super().executed(op, operands, run)
        ends = [abs(end) for end in (op.lower, op.upper) if end is not None]
        return None if found is None else found + run.precision.unit * max(ends, default=0.0)
