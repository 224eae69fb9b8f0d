"""`check_dual_rule`, which tests a rule on an op for every property that bounds rely on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from autodual.dual import AffineRule, NonlinearRule, find_rule
from autodual.errors import InvalidInputError
from autodual.ir import Op
from autodual.testing.affine_checks import check_affine
from autodual.testing.case import Case
from autodual.testing.nonlinear import check_nonlinear

Rule = AffineRule | NonlinearRule


def check_dual_rule(
    rule: Op | Rule | type[AffineRule] | type[NonlinearRule],
    op: Op | None = None,
    shapes: Sequence[Sequence[int]] = ((1,),),
    parameters: Mapping[str, Tensor] | None = None,
    *,
    bounds: Sequence[tuple[float, float]] = (),
    domain: tuple[float, float] = (-torch.inf, torch.inf),
    dtypes: Sequence[torch.dtype] = (torch.float64, torch.float32),
    device: torch.device | str = "cpu",
    seed: int = 0,
    samples: int = 48,
    gradients: bool = True,
) -> None:
    """Check that a dual rule keeps its contract.

    Of an affine rule: pull is the op's transpose and the adjoint of push, the objective pays its constant term,
    intervals enclose, windowed rows agree with whole rows. Of a nonlinear rule: layers bound the op for rows of
    either sign over random and extreme intervals, searched for the worst point; parallel lines are parallel and push is
    their adjoint; the range and the intervals enclose; tighter bounds of decided scalars change nothing; NaN stays NaN;
    gradients agree with finite differences; values keep the rule's `limits`. Of both: dtype and device are kept,
    rounding errors stay below what rigorous bounds charge for them, and a run in float32 is off by no more than the
    rule says, if it says anything.

    Args:
        rule: the rule, as an object or a class; or an op, whose registered rule is then checked.
        op: the op to try the rule on.
        shapes: the sample shape of each of the op's inputs.
        parameters: tensors by the names that the op's expressions use.
        bounds: further intervals for nonlinear ops, such as ones around points where the function bends.
        domain: the part of the real line, ends included, on which the op has values; intervals stay within.
        dtypes: the dtypes to check in; results in other dtypes than float64 are compared with float64.
        device: the device to check on.
        seed: the seed of the random intervals and points.
        samples: how many random intervals are tried.
        gradients: whether to check derivatives; False if the op's own are infinite somewhere, as the square root's are
            at 0.

    Raises:
        DualRuleError: the rule breaks its contract; the message names the property and the interval.
        InvalidInputError: there is no rule to check.

    Example:
        >>> from autodual.ir import ops
        >>> from autodual.testing import check_dual_rule
        >>> check_dual_rule(ops.Tanh())
    """
    if isinstance(rule, Op):
        op, rule = rule, _registered(rule)
    elif op is None:
        raise InvalidInputError("check_dual_rule needs the op to try the rule on: check_dual_rule(rule, op).")
    if isinstance(rule, type):
        rule = rule()
    sizes = tuple(tuple(shape) for shape in shapes)
    for dtype in dtypes:
        case = Case(rule, op, sizes, dict(parameters or {}), dtype, torch.device(device), seed, samples)
        if isinstance(rule, AffineRule):
            check_affine(case)
        else:
            check_nonlinear(case, domain, bounds, gradients=gradients)


def _registered(op: Op) -> Rule:
    rule = find_rule(op)
    if rule is None:
        raise InvalidInputError(
            f"{type(op).__name__} has no dual rule; register one with @dual_rule({type(op).__name__})."
        )
    return rule
