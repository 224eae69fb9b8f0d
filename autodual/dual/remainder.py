"""The rule of remainders."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from autodual.dual.execution import Executed, Run
from autodual.dual.registry import dual_rule
from autodual.dual.relaxation import LinearRelaxation
from autodual.dual.relaxation_rule import RelaxationRule
from autodual.interval import Interval
from autodual.ir import ops
from autodual.ir.expressions import Environment


@dual_rule(ops.Remainder)
class RemainderRule(RelaxationRule):
    """The function's own line where no jump can lie between the bounds, else horizontal lines at its extreme values."""

    def executed(self, op: ops.Remainder, operands: Sequence[Executed], run: Run) -> Tensor:
        """The operand's error, and the divisor's times the quotient. Where a run may subtract the divisor once more or
        once less, the width of the range. The quotient may be rounded, or the remainder computed step by step.
        """
        (z,) = operands
        divisor, unit = run.environment(op.divisor), run.precision.unit
        off = run.errors(op.divisor)
        least = (divisor.abs() - off).clamp(min=0)
        shift = off * (z.size / least + 1) + 4 * unit * (z.size + divisor.abs() + off)
        near = z.reached.widen(shift)
        least_value, greatest = _values(op, near, run.environment)
        passed = torch.where(_one_line(op, near, run.environment), z.error, greatest - least_value + off)
        return passed + shift

    def undecided(self, op: ops.Remainder, bounds: Sequence[Interval], environment: Environment) -> Tensor:
        return ~_one_line(op, bounds[0], environment)

    def range(self, op: ops.Remainder, bounds: Sequence[Interval], environment: Environment) -> Interval:
        (z,) = bounds
        decided = _one_line(op, z, environment)
        least, greatest = _values(op, z, environment)
        first, last = (op.forward([end], environment) for end in (z.lower, z.upper))
        return Interval(torch.where(decided, first, least), torch.where(decided, last, greatest))

    def parallel(self, op: ops.Remainder, bounds: Sequence[Interval], environment: Environment) -> LinearRelaxation:
        (z,) = bounds
        decided = _one_line(op, z, environment)
        shift = op.forward([z.lower], environment) - z.lower
        least, greatest = _values(op, z, environment)
        slopes = (decided.to(z.lower.dtype),)
        return LinearRelaxation(
            slopes, slopes, torch.where(decided, shift, least), torch.where(decided, shift, greatest)
        )

    def adaptive(self, op: ops.Remainder, bounds: Sequence[Interval], environment: Environment) -> LinearRelaxation:
        return self.parallel(op, bounds, environment)


def _one_line(op: ops.Remainder, z: Interval, environment: Environment) -> Tensor:
    """Where no jump lies between the bounds: the remainder rises with slope 1 and falls by the divisor at each jump."""
    first, last = (op.forward([end], environment) for end in (z.lower, z.upper))
    fallen = (z.upper - z.lower) - (last - first)
    return fallen < environment(op.divisor).abs() / 2


def _values(op: ops.Remainder, z: Interval, environment: Environment) -> tuple[Tensor, Tensor]:
    """Bounds of the remainders of all numbers between the bounds; NaN where they are unknown."""
    divisor = environment(op.divisor).expand_as(z.lower)
    zero, unknown = torch.zeros_like(divisor), z.lower.isnan() | z.upper.isnan() | ~(divisor != 0)
    if op.truncated:
        least, greatest = (-divisor.abs()).maximum(z.lower).minimum(zero), divisor.abs().minimum(z.upper).maximum(zero)
    else:
        least, greatest = divisor.minimum(zero), divisor.maximum(zero)
    return torch.where(unknown, math.nan, least), torch.where(unknown, math.nan, greatest)
