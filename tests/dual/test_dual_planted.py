"""The contract suite catches rules with planted mistakes, and its message says where they are wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.planted import caught
from torch import Tensor

from autodual import testing
from autodual.dual import (
    DualLayer,
    LinearRelaxation,
    LineFamily,
    RelaxationRule,
    RelaxedLayer,
    Rows,
)
from autodual.dual.curves import DeclaredRule
from autodual.dual.maximum import MaximumRule
from autodual.dual.relu import ReluRule
from autodual.dual.softmax import LogSoftmaxLayer, LogSoftmaxRule, planes_around
from autodual.errors import AutodualError, InvalidInputError
from autodual.interval import Interval
from autodual.ir import ops
from autodual.testing import DualRuleError, check_dual_rule

Change = Callable[[LinearRelaxation, Sequence[Interval]], LinearRelaxation]


def relaxation(base: type[RelaxationRule], change: Change, policies: str = "shared adaptive") -> RelaxationRule:
    """A built-in rule whose lines are changed."""

    class Planted(base):  # type: ignore[misc, valid-type]
        def relax(self, op, bounds, environment, policy) -> LinearRelaxation:
            found = super().relax(op, bounds, environment, policy)
            return change(found, bounds) if policy in policies else found

    return Planted()


# --- lines that are wrong ------------------------------------------------------------------------------------------


def _lower_upper_line(found: LinearRelaxation, bounds: Sequence[Interval]) -> LinearRelaxation:
    return replace(found, upper_intercept=found.upper_intercept - 1e-6)


def _through_the_middle(found: LinearRelaxation, bounds: Sequence[Interval]) -> LinearRelaxation:
    """The tangent at the middle, which is wrong only around the inflection, and by little."""
    (z,) = bounds
    turns = (z.lower < 0) & (z.upper > 0.3)
    slope = torch.where(turns, 1 - z.centre.tanh() ** 2, found.lower_slopes[0])
    intercept = torch.where(turns, z.centre.tanh() - slope * z.centre, found.lower_intercept)
    return replace(found, lower_slopes=(slope,), lower_intercept=intercept)


def _swapped(found: LinearRelaxation, bounds: Sequence[Interval]) -> LinearRelaxation:
    return replace(found, lower_slopes=found.upper_slopes, upper_slopes=found.lower_slopes)


def _wrong_when_narrow(found: LinearRelaxation, bounds: Sequence[Interval]) -> LinearRelaxation:
    """A chord whose numerator cancels: right over wide intervals, wrong over narrow ones by rounding."""
    (z,) = bounds
    slope = (z.upper.exp() - z.lower.exp()) / (z.upper - z.lower + 1e-9)
    return replace(found, upper_slopes=(slope,), upper_intercept=z.lower.exp() - slope * z.lower)


def _not_parallel(found: LinearRelaxation, bounds: Sequence[Interval]) -> LinearRelaxation:
    return replace(found, upper_slopes=(found.lower_slopes[0] * 1,))


def _in_float32(found: LinearRelaxation, bounds: Sequence[Interval]) -> LinearRelaxation:
    return replace(found, upper_intercept=found.upper_intercept.float())


def _bounded(found: LinearRelaxation, bounds: Sequence[Interval]) -> LinearRelaxation:
    """NaN replaced by a number."""
    return LinearRelaxation(
        tuple(slope.nan_to_num() for slope in found.lower_slopes),
        tuple(slope.nan_to_num() for slope in found.upper_slopes),
        found.lower_intercept.nan_to_num(),
        found.upper_intercept.nan_to_num(),
    )


def _of_the_batch(found: LinearRelaxation, bounds: Sequence[Interval]) -> LinearRelaxation:
    """Sound, but its intercept depends on an average over samples."""
    room = (bounds[0].upper - bounds[0].lower).clamp(0, 1).nan_to_num().mean()
    return replace(found, upper_intercept=found.upper_intercept + room)


def _said_grounded(found: LinearRelaxation, bounds: Sequence[Interval]) -> LinearRelaxation:
    """An intercept that is declared to be zero, but is not."""
    return replace(found, grounded=True)


LINES = {
    "an intercept declared to be zero": (DeclaredRule, ops.Tanh(), _said_grounded, "objective lies above ⟨ν, op"),
    "a wrong intercept": (DeclaredRule, ops.Sigmoid(), _lower_upper_line, "upper line lies below the op, by"),
    "a tangent that cuts the curve": (DeclaredRule, ops.Tanh(), _through_the_middle, "lower line lies above"),
    "slopes that are swapped": (ReluRule, ops.Relu(), _swapped, "upper line lies below the op, by [0-9.]* over"),
    "a chord wrong over narrow intervals": (DeclaredRule, ops.Exp(), _wrong_when_narrow, "upper line lies below"),
    "a sample that depends on others": (DeclaredRule, ops.Tanh(), _of_the_batch, "depends on the samples beside it"),
    "NaN replaced by a number": (DeclaredRule, ops.Tanh(), _bounded, "a number over NaN bounds"),
}


@pytest.mark.parametrize("name", LINES)
def test_wrong_lines_are_caught(name: str) -> None:
    base, op, change, said = LINES[name]
    parallel = change in (_lower_upper_line, _of_the_batch)
    policies = "shared adaptive" if parallel else "adaptive"
    message = caught(relaxation(base, change, policies), op, said)
    assert "adaptive slopes" in message or "shared slopes" in message


class _TooHigh(MaximumRule):
    """Its other lines below the maximum are lifted."""

    def others(self, op, bounds, environment):
        lines = self.adaptive(op, bounds, environment)
        return [replace(lines, lower_intercept=lines.lower_intercept + 0.1)]


def test_other_lines_that_cut_the_op_are_caught() -> None:
    caught(_TooHigh(), ops.Maximum(), "lower line lies above the op", shapes=((2,), (2,)))


def test_lines_that_are_not_parallel_or_of_another_dtype_are_caught() -> None:
    caught(relaxation(DeclaredRule, _not_parallel), ops.Sigmoid(), "`lower_slopes is upper_slopes`", interval=False)
    caught(relaxation(DeclaredRule, _in_float32), ops.Sigmoid(), "of torch.float32", interval=False)


def test_the_worst_interval_and_point_are_named() -> None:
    """The line cuts the op over one interval only, which the message must name."""

    def cut(found: LinearRelaxation, bounds: Sequence[Interval]) -> LinearRelaxation:
        (z,) = bounds
        wide = (z.upper == 2) & (z.lower == -1)
        return replace(found, upper_intercept=found.upper_intercept - 0.25 * wide)

    message = caught(relaxation(ReluRule, cut), ops.Relu(), r"by 0\.25 over \[-1\.0, 2\.0\] at (-1\.0|2\.0)$")
    assert message.startswith("Planted for Relu() (shared slopes, float64): the upper line lies below the op")


def test_lines_wrong_in_float32_alone_are_caught() -> None:
    """Right in float64, too high by 0.001 in float32."""

    def rounded(found: LinearRelaxation, bounds: Sequence[Interval]) -> LinearRelaxation:
        coarse = 1e-3 if bounds[0].lower.dtype == torch.float32 else 0.0
        return replace(found, lower_intercept=found.lower_intercept + coarse)

    with pytest.raises(DualRuleError, match=r"float32\): the lower line lies above the op, by 0\.001"):
        check_dual_rule(relaxation(DeclaredRule, rounded), ops.Sigmoid())


# --- derivatives ---------------------------------------------------------------------------------------------------


def test_lines_without_derivatives_are_caught() -> None:
    def detached(found: LinearRelaxation, bounds: Sequence[Interval]) -> LinearRelaxation:
        slopes = (found.lower_slopes[0].detach(),)
        return replace(found, lower_slopes=slopes, upper_slopes=slopes)

    caught(relaxation(DeclaredRule, detached, "shared"), ops.Tanh(), "disagrees with finite differences")


def test_nan_derivatives_are_caught() -> None:
    """A division by a width of 0 in the branch that is not taken."""

    class Planted(ReluRule):
        def parallel(self, op, bounds, environment) -> LinearRelaxation:
            found = super().parallel(op, bounds, environment)
            (z,) = bounds
            chord = z.upper / (z.upper - z.lower)
            slopes = (torch.where((z.lower < 0) & (z.upper > 0), chord, found.lower_slopes[0]),)
            return replace(found, lower_slopes=slopes, upper_slopes=slopes)

    caught(Planted(), ops.Relu(), "a gradient by the bounds is NaN or infinite")


# --- ranges and decided units --------------------------------------------------------------------------------------


def test_ranges_too_narrow_or_too_wide_are_caught() -> None:
    class Narrow(DeclaredRule):
        """The values at the ends, though the function has a minimum between them."""

        def range(self, op, bounds, environment) -> Interval:
            first, last = (op.function(end) for end in (bounds[0].lower, bounds[0].upper))
            return Interval(first.minimum(last), first.maximum(last))

    class Wide(DeclaredRule):
        def range(self, op, bounds, environment) -> Interval:
            return super().range(op, bounds, environment).widen(0.01)

    caught(Narrow(), ops.Silu(), "the range begins above the op, by")
    caught(Wide(), ops.Tanh(), "the range of a monotone op is wider than its values, by 0.00999")


def test_a_range_that_hides_nan_is_caught() -> None:
    class Planted(DeclaredRule):
        def range(self, op, bounds, environment) -> Interval:
            return super().range(op, bounds, environment).map(lambda end: end.nan_to_num(0.0))

    caught(Planted(), ops.Tanh(), "the range is a number over NaN bounds")


def test_units_wrongly_declared_decided_are_caught() -> None:
    class Planted(DeclaredRule):
        def undecided(self, op, bounds, environment) -> Tensor:
            return super().undecided(op, bounds, environment) & ~(bounds[0].lower > 0)

    caught(Planted(), ops.Sigmoid(), "tighter bounds change the relaxation of scalars that are decided by `undecided`")


def test_nan_bounds_declared_decided_are_caught() -> None:
    class Planted(ReluRule):
        def undecided(self, op, bounds, environment) -> Tensor:
            return (bounds[0].lower < 0) & (bounds[0].upper > 0)

    caught(Planted(), ops.Relu(), "NaN bounds count as decided over")


# --- layers --------------------------------------------------------------------------------------------------------


def test_relaxed_layers_that_mix_up_signs_are_caught() -> None:
    class Layer(RelaxedLayer):
        def pull(self, rows: Rows) -> tuple[Rows, ...]:
            return super().pull(rows.negated())

    class Planted(ReluRule):
        def layer(self, op, bounds, environment, policy) -> RelaxedLayer:
            return Layer(self.relax(op, bounds, environment, policy))

    caught(Planted(), ops.Relu(), "⟨pull ν, z⟩ \\+ objective lies above ⟨ν, op\\(z\\)⟩, by")


@pytest.mark.parametrize("end", ["first", "second"])
def test_families_whose_lines_cut_the_op_are_caught(end: str) -> None:
    """Although the relaxations of both other policies are right."""

    class Planted(ReluRule):
        def family(self, op, bounds, environment) -> LineFamily:
            right = super().family(op, bounds, environment)
            line = getattr(right, end)
            return replace(right, **{end: replace(line, lower_slopes=(line.lower_slopes[0] * 1.01,))})

    caught(Planted(), ops.Relu(), "optimized slopes.*the lower line lies above the op")


def test_layers_of_many_scalars_are_searched() -> None:
    """The tangent plane of log-sum-exp is too high by 0.01, which sampled points alone rarely reveal."""

    class Planted(LogSoftmaxRule):
        def layer(self, op, bounds, environment, policy) -> DualLayer:
            planes = planes_around(bounds[0], op.axis + 1)
            return LogSoftmaxLayer(replace(planes, lower_intercept=planes.lower_intercept + 0.01))

    caught(Planted(), ops.LogSoftmax(0), "lies above ⟨ν, op", shapes=((3,),))


# --- how the suite is called ---------------------------------------------------------------------------------------


def test_rules_may_be_given_as_classes_objects_or_by_their_op() -> None:
    for given in ((ReluRule,), (ReluRule(),)):
        check_dual_rule(*given, ops.Relu(), samples=4)
    check_dual_rule(ops.Relu(), samples=4)
    with pytest.raises(InvalidInputError, match="needs the op"):
        check_dual_rule(ReluRule())
    with pytest.raises(InvalidInputError, match="Input has no dual rule; register one with @dual_rule"):
        check_dual_rule(ops.Input())


def test_failures_are_errors_of_both_kinds() -> None:
    assert issubclass(DualRuleError, AssertionError) and issubclass(DualRuleError, AutodualError)


def test_the_suite_needs_no_test_framework() -> None:
    """It ships with the package, whose users may have no test framework."""
    sources = Path(testing.__file__).parent.glob("*.py")
    assert not [source for source in sources if "pytest" in source.read_text(encoding="utf-8")]
