"""The contract of `range`: it encloses the op's values, and is tight where the op is monotone."""

from __future__ import annotations

import torch
from torch import Tensor

from autodual.bounds.rounding.error_factor import error_factor
from autodual.dual import NonlinearRule, RelaxationRule
from autodual.interval import Interval
from autodual.tensors import flat
from autodual.testing.case import Case
from autodual.testing.failure import require, require_all
from autodual.testing.intervals import Trial
from autodual.testing.points import worst_points
from autodual.testing.rounding import of_value

_POINTS = 24
# A grid fine enough to see every bend of an activation over intervals of up to this width.
_FINE, _NARROW = 400, 20.0


def check_range(case: Case, trial: Trial) -> None:
    """`range` encloses the op over every interval, up to the rounding error of its values.

    Args:
        case: the rule and the op.
        trial: the intervals to test over.
    """
    rule, subject = case.rule, case.subject()
    assert isinstance(rule, NonlinearRule)
    found = rule.range(case.op, trial.bounds, case.environment)
    shape = (len(trial.ordinary), *case.node.shape)
    kept = found.lower.dtype == case.dtype and found.lower.device.type == case.device.type
    message = f"range gives {found.lower.dtype} {tuple(found.shape)} over bounds of {case.dtype}, not {shape}"
    require_all(torch.tensor(kept and tuple(found.shape) == shape), subject, message)
    exact = [bound.map(lambda end: end.double()) for bound in trial.bounds]
    points = trial.points(_POINTS)
    value = case.exact.value(points)
    least, greatest = value.amin(0), value.amax(0)
    at = None
    if isinstance(rule, RelaxationRule):
        least, at = worst_points(case.exact.value, exact, _POINTS)
        greatest = -worst_points(lambda z: -case.exact.value(z), exact, _POINTS)[0]
    # Where large inputs cancel (log-softmax), the values have a rounding error relative to the inputs.
    inputs = torch.stack([flat(bound.magnitude.double(), 1).amax(1) for bound in trial.bounds]).amax(0)
    several = 0 if isinstance(rule, RelaxationRule) else 1
    size = least.abs().maximum(greatest.abs()) + several * inputs.reshape(-1, *[1] * len(case.node.shape))
    size = size.clamp(max=torch.finfo(torch.float64).max)
    room = error_factor(case.node.size, case.dtype) * size + 128 * torch.finfo(case.dtype).tiny
    room = room + of_value(inputs.clamp(max=1e300)).reshape(-1, *[1] * len(case.node.shape))
    usual = trial.ordinary.reshape(-1, *[1] * len(case.node.shape)).expand(shape)
    known = found.lower.isfinite() & found.upper.isfinite()
    require_all(known | ~usual, subject, "the range is not finite over ordinary bounds", trial.bounds)
    # Rigorous bounds charge overflow infinitely.
    found = found.map(lambda end: torch.where(end.isinf(), torch.nan, end))
    require(found.lower.double() - least - room, subject, "the range begins above the op", trial.bounds, at)
    require(greatest - found.upper.double() - room, subject, "the range ends below the op", trial.bounds)
    if len(case.shapes) == 1 and isinstance(rule, RelaxationRule):
        _check_monotone(case, subject, found, trial, room)


def _check_monotone(case: Case, subject: str, found: Interval, trial: Trial, room: Tensor) -> None:
    """Where the op only rises or only falls on a fine grid, the range ends at its values at the bounds."""
    (bound,) = (one.map(lambda end: end.double()) for one in trial.bounds)
    parts = torch.linspace(0, 1, _FINE + 1, dtype=torch.float64, device=case.device)
    parts = parts.reshape(-1, *[1] * bound.lower.dim())
    value = case.exact.value([bound.lower * (1 - parts) + bound.upper * parts])
    steps = value.diff(dim=0)
    known = ((steps >= 0).all(0) | (steps <= 0).all(0)) & (bound.upper - bound.lower < _NARROW)
    least, greatest = value[0].minimum(value[-1]), value[0].maximum(value[-1])
    loose = (least - found.lower.double()).maximum(found.upper.double() - greatest) - room - 1e-6
    # The op may turn between two points of the grid.
    loose = loose - steps.abs().amax(0)
    message = "the range of a monotone op is wider than its values"
    require(torch.where(known, loose, -1.0), subject, message, trial.bounds)
