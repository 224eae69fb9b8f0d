"""The contract of relaxations: two affine functions that enclose an elementwise op, tested by search."""

from __future__ import annotations

import torch
from torch import Tensor

from autodual.bounds.rounding.error_factor import error_factor
from autodual.dual import LinearRelaxation
from autodual.policies import SlopePolicy
from autodual.testing.case import Case
from autodual.testing.failure import require, require_all
from autodual.testing.intervals import Trial
from autodual.testing.points import worst_points
from autodual.testing.rounding import finite_magnitudes, of_value

_POINTS = 32
# Number of products of a unit that may underflow, as `underflow` counts them.
_VANISHING = 66


def check_lines(case: Case, found: LinearRelaxation, trial: Trial, policy: SlopePolicy) -> None:
    """Both lines enclose the op, up to the rounding that rigorous bounds charge; if shared they are parallel.

    Args:
        case: the rule and the op.
        found: the lines.
        trial: the intervals over which they were made.
        policy: how slopes were chosen.
    """
    subject = case.subject(policy)
    parts = (*found.lower_slopes, *found.upper_slopes, found.lower_intercept, found.upper_intercept)
    shape = (len(trial.ordinary), *case.node.shape)
    for part in parts:
        fits = torch.broadcast_shapes(part.shape, shape) == torch.Size(shape) and len(part.shape) == len(shape)
        kept = part.dtype == case.dtype and part.device.type == case.device.type
        message = f"lines {tuple(part.shape)} of {part.dtype} on {part.device} over bounds {shape} of {case.dtype}"
        require_all(torch.tensor(fits and kept), subject, message)
    if policy == "shared":
        message = "`parallel` gives lines that are not parallel: `lower_slopes is upper_slopes` must hold"
        require_all(torch.tensor(found.parallel), subject, message)
    known = torch.stack([part.expand(shape).isfinite() for part in parts]).all(0)
    usual = trial.ordinary.reshape(-1, *[1] * len(case.node.shape)).expand(shape)
    require_all(known | ~usual, subject, "the lines are not finite over ordinary bounds", trial.bounds)
    allowed = _allowed(case, found, trial)
    for sign, slopes, intercept, side in (
        (1.0, found.lower_slopes, found.lower_intercept, "lower line lies above"),
        (-1.0, found.upper_slopes, found.upper_intercept, "upper line lies below"),
    ):
        best, place = _least_gap(case, trial, sign, slopes, intercept)
        require(-best - allowed, subject, f"the {side} the op", trial.bounds, place)


def _least_gap(
    case: Case, trial: Trial, sign: float, slopes: tuple[Tensor, ...], intercept: Tensor
) -> tuple[Tensor, list[Tensor]]:
    """Least distance of the op above a line (sign 1) or below it (-1), in float64 for every dtype, and where it is."""
    steep, height = [slope.double() for slope in slopes], intercept.double()

    def gap(points: list[Tensor]) -> Tensor:
        line = height
        for slope, point in zip(steep, points):
            line = line + slope * point
        return sign * (case.exact.value(points) - line)

    return worst_points(gap, [bound.map(lambda end: end.double()) for bound in trial.bounds], _POINTS)


def _allowed(case: Case, found: LinearRelaxation, trial: Trial) -> Tensor:
    """What rigorous bounds charge a unit of this relaxation for rounding, `[N, *shape]`."""
    magnitudes = [magnitude.double() for magnitude in finite_magnitudes(trial.bounds)]
    sizes = []
    for slopes, intercept in (
        (found.lower_slopes, found.lower_intercept),
        (found.upper_slopes, found.upper_intercept),
    ):
        size = intercept.double().abs()
        for slope, magnitude in zip(slopes, magnitudes):
            size = size + slope.double().abs() * magnitude
        sizes.append(size.expand(len(trial.ordinary), *case.node.shape))
    within = torch.stack([magnitude.expand_as(sizes[0]) for magnitude in magnitudes]).sum(0)
    vanished = _VANISHING * torch.finfo(case.dtype).tiny * (within + 1)
    return error_factor(1, case.dtype) * sizes[0].maximum(sizes[1]) + vanished + of_value(within)
