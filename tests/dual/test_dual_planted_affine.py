"""The contract suite catches affine rules with planted mistakes in signs, constants, magnitudes and windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from support.planted import caught
from support.problems import normal
from torch import Tensor

from autodual.dual import AffineRule, Contribution, DualLayer, Rows, find_rule
from autodual.dual.convolution import ConvolutionLayer
from autodual.dual.linear import LinearLayer
from autodual.interval import Interval
from autodual.ir import Op, Parameter, ops
from autodual.testing import DualRuleError, check_dual_rule

CONVOLUTION = ops.Convolution(Parameter("w"), Parameter("b"), (1, 1), (1, 1), (1, 1))
WEIGHTS = {"w": normal(2, 2, 3, 3), "b": normal(2, seed=1)}
MATRIX = {"w": normal(3, 4), "b": normal(3, seed=1)}


def affine(layer: type[DualLayer]) -> AffineRule:
    """A rule that makes these layers."""

    class Planted(AffineRule):
        def layer(self, node, shapes, environment) -> DualLayer:
            return layer(node, shapes, environment)

    return Planted()


class NegatedPull(LinearLayer):
    def pull(self, rows: Rows) -> tuple[Rows, ...]:
        return super().pull(rows.negated())


class NoConstant(LinearLayer):
    def objective(self, rows: Rows) -> Contribution:
        return Contribution()


class OtherPush(LinearLayer):
    def push(self, columns: Sequence[Tensor | None]) -> Tensor:
        return super().push(columns) + self.constant_term


class NoMagnitude(LinearLayer):
    """The classical mistake: the weight where its absolute value belongs."""

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        (bounds,) = inputs
        return Interval.around(self.forward([bounds.centre]), (bounds.radius @ self.weight.T).abs())


class FewTerms(LinearLayer):
    terms = 2  # type: ignore[assignment]


class NanIsZero(LinearLayer):
    def interval(self, inputs: Sequence[Interval]) -> Interval:
        return super().interval([bounds.map(lambda end: end.nan_to_num(0.0)) for bounds in inputs])


AFFINE = {
    "a wrong sign in pull": (NegatedPull, "differs from ⟨pull ν, z⟩ \\+ objective", True),
    "a missing constant": (NoConstant, "differs from ⟨pull ν, z⟩ \\+ objective", True),
    "a push with the constant": (OtherPush, "push is not the adjoint of pull", False),
    "an interval without magnitudes": (NoMagnitude, "the interval (begins above|ends below) the op", True),
    "too few terms": (FewTerms, "`terms` is less than the longest sum", False),
    "NaN replaced by a number": (NanIsZero, "NaN bounds give numbers", True),
}


@pytest.mark.parametrize("name", AFFINE)
def test_wrong_affine_rules_are_caught(name: str) -> None:
    layer, said, interval = AFFINE[name]
    op = ops.Linear(Parameter("w"), Parameter("b"))
    caught(affine(layer), op, said, interval, shapes=((4,),), parameters=MATRIX)


@pytest.mark.parametrize(
    ("claim", "op", "said"),
    [
        ("reads_once", ops.Expand((2, 3)), "but a scalar is read twice"),
        ("moves", ops.Sum((0,), keepdim=True), "not a copy of one scalar"),
        ("reads_one", ops.Sum((0,), keepdim=True), "depends on several scalars"),
    ],
)
def test_wrong_claims_of_moving_are_caught(claim: str, op: Op, said: str) -> None:
    shape = (1, 3) if claim == "reads_once" else (2, 3)
    check_dual_rule(_claiming(op), op, (shape,), {})
    caught(_claiming(op, claim), op, said, False, shapes=(shape,), parameters={})


def _claiming(op: Op, *claims: str) -> AffineRule:
    class Planted(type(find_rule(op))):  # type: ignore[misc]
        pass

    rule = Planted()
    rule.moves = rule.reads_once = rule.reads_one = False
    for claim in claims:
        setattr(rule, claim, True)
    return rule


class ShiftedWindow(ConvolutionLayer):
    """Its position is off by one on every axis."""

    def _pull_windows(self, rows: Rows) -> Rows:
        pulled = super()._pull_windows(rows)
        assert pulled.window is not None
        shift = tuple(place + 1 for place in pulled.window.shift)
        return replace(pulled, window=replace(pulled.window, shift=shift), cropped=False)


class Uncropped(ConvolutionLayer):
    """Entries beyond the border are counted."""

    def pull(self, rows: Rows) -> tuple[Rows, ...]:
        return super().pull(replace(rows, cropped=True))


class ShortReach(ConvolutionLayer):
    def reach(self, extent: Sequence[int]) -> tuple[int, ...]:
        return tuple(size - 1 for size in super().reach(extent))


@pytest.mark.parametrize("layer", [ShiftedWindow, Uncropped, ShortReach], ids=lambda layer: layer.__name__)
def test_wrong_windows_are_caught(layer: type[ConvolutionLayer]) -> None:
    with pytest.raises((DualRuleError, RuntimeError)) as failure:
        check_dual_rule(affine(layer), CONVOLUTION, ((2, 5, 4),), WEIGHTS)
    if layer is not ShortReach:
        assert "differs from the result of whole rows, by" in str(failure.value)
