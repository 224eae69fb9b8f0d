"""The contract of `executed` and `roundings`: the error of a run in float32 is at most what rules say."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from autodual.dual import DualLayer, NonlinearRule, Precision, Run
from autodual.dual.execution import Executed
from autodual.ir.constant_errors import ConstantErrors
from autodual.testing.case import Case
from autodual.testing.failure import require
from autodual.testing.intervals import Trial

_POINTS = 12
_RUN = torch.float32


def check_executed(case: Case, trial: Trial) -> None:
    """A float32 run over operands with errors differs from float64 by at most `executed`; values keep `limits`.

    Args:
        case: the rule and the op.
        trial: the intervals to test over.
    """
    rule = case.rule
    assert isinstance(rule, NonlinearRule)
    low, high = rule.limits(case.op)
    exact = [bound.map(lambda end: end.double()) for bound in trial.bounds]
    points = trial.points(_POINTS)
    value = case.exact.value(points)
    slack = 8 * torch.finfo(torch.float64).eps * torch.stack([bound.magnitude.amax() for bound in exact]).amax()
    usual = trial.ordinary.reshape(1, -1, *[1] * (value.dim() - 2))
    beyond = (low - value).maximum(value - high) - slack.nan_to_num(posinf=0.0)
    require(torch.where(usual, beyond, -1.0).amax(0), case.subject(), "a value leaves `limits`", trial.bounds)
    moved = [_moved(point, place) for place, point in enumerate(points)]
    errors = [(run.double() - point).abs().amax(0) for run, point in zip(moved, points)]
    operands = [
        Executed(bound, (error * (1 + 1e-6)).to(case.dtype).nextafter(error.new_tensor(torch.inf).to(case.dtype)))
        for bound, error in zip(trial.bounds, errors)
    ]
    found = rule.executed(case.op, operands, _run(case))
    if found is None:
        return
    off = (replace(case, dtype=_RUN).value(moved).double() - value).abs()
    off = torch.where(off.isfinite() & usual, off, 0.0).amax(0)
    floor = torch.finfo(_RUN).tiny
    excess = off - found.double() * (1 + 1e-5) - floor - _own(value)
    require(excess, case.subject(), "a run in float32 has a larger error than the rule says", trial.bounds)


def _moved(point: Tensor, place: int) -> Tensor:
    """Nearby points in float32: some moved by its rounding alone, some by a part of their size."""
    generator = torch.Generator().manual_seed(17 + place)
    share = torch.randn(point.shape, generator=generator, dtype=torch.float64).to(point.device)
    steps = torch.tensor([0.0, 1e-7, 1e-4, 1e-2], dtype=torch.float64, device=point.device)
    step = steps[torch.arange(point.shape[1], device=point.device) % len(steps)].reshape(-1, *[1] * (point.dim() - 2))
    limit = torch.finfo(_RUN).max
    return (point + share * step * point.abs().clamp(max=1e3)).clamp(-limit, limit).to(_RUN)


def _own(value: Tensor) -> Tensor:
    """Bound of the rounding error of float64 itself."""
    known = torch.where(value.isfinite(), value.abs(), 0.0)
    return 1e-12 * (1 + known.amax(0))


def _run(case: Case) -> Run:
    lookup = case.environment.lookup
    return Run(case.environment, ConstantErrors(lookup, case.dtype, case.device, _RUN), Precision.of(_RUN))


def check_roundings(case: Case, layer: DualLayer, matrices: list[Tensor]) -> None:
    """No output sums more terms than `roundings` allows; with 0 roundings every output is a copy of one scalar.

    Args:
        case: the rule and the op.
        layer: the rule's layer.
        matrices: the op as a dense matrix `[outputs, inputs]` per input.
    """
    count = layer.roundings
    if count is None or not matrices:
        return
    whole = torch.cat(matrices, 1)
    longest = (whole != 0).sum(1)
    if count:
        # n terms need n - 1 additions, and one rounding more if they are products.
        plain = ((whole == 0) | (whole.abs() == 1)).all(1)
        require((longest - plain.long() - count).double(), case.subject(), "`roundings` is below the terms of a sum")
        return
    zero = [torch.zeros(1, *shape, dtype=torch.float64, device=case.device) for shape in case.shapes]
    constant = case.exact.value(zero).flatten() != 0
    changed = (longest > 1) | ((longest == 1) & (whole.sum(1) != 1)) | (constant & (longest > 0))
    require(changed.double(), case.subject(), "the layer has no `roundings`, but an output is not a copy of one scalar")
