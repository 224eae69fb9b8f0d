"""Training needs gradients: a layer's derivatives by its bounds are finite and agree with finite differences."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from autodual.dual import Rows
from autodual.interval import Interval
from autodual.policies import SlopePolicy
from autodual.tensors import flat
from autodual.testing.case import Case
from autodual.testing.enclosure import Claim
from autodual.testing.failure import require, require_all
from autodual.testing.intervals import Trial

_STEP = 1e-5
# Error of finite differences with this step, for derivatives of scale 1.
_TOLERANCE = 2e-4
_LARGEST = 1e6


def check_gradients(case: Case, trial: Trial, policy: SlopePolicy) -> None:
    """Gradients are finite; along a random direction they agree with both one-sided differences where these agree.

    Args:
        case: the rule and the op, in float64.
        trial: the intervals to test over.
        policy: how slopes are chosen.
    """
    _check_finite(case, trial, policy)
    # Where values are large, differences of sums over units have no digits left.
    ends = [[bound.lower for bound in trial.bounds], [bound.upper for bound in trial.bounds]]
    size = torch.stack([flat(case.value(points).abs(), 1).amax(1) for points in ends]).amax(0)
    trial = trial.some(size < _LARGEST)
    # Where several scalars tie there may be no derivative.
    bounds = [_narrowed(case, bound, place) for place, bound in enumerate(trial.bounds)]
    directions = [
        Interval(case.normal(*bound.shape, place=61 + 2 * at), case.normal(*bound.shape, place=62 + 2 * at))
        for at, bound in enumerate(bounds)
    ]
    points = [bound.centre for bound in bounds]

    @torch.no_grad()
    def along(step: float) -> Tensor:
        moved = [
            Interval(bound.lower + step * way.lower, bound.upper + step * way.upper)
            for bound, way in zip(bounds, directions)
        ]
        return _claimed(case, moved, points, policy)

    found = _derivative(case, bounds, directions, points, policy)
    here = along(0.0)
    forward, backward = (along(_STEP) - here) / _STEP, (here - along(-_STEP)) / _STEP
    nearer = (along(_STEP / 2) - along(-_STEP / 2)) / _STEP
    scale = 1 + forward.abs().maximum(backward.abs()) + here.abs()
    # Where both sides and two steps agree there is a derivative; elsewhere there is a kink or a very narrow interval.
    agree = ((forward - backward).abs() < _TOLERANCE * scale) & (
        (nearer - (forward + backward) / 2).abs() < _TOLERANCE * scale
    )
    wide = torch.stack([flat(((bound.upper - bound.lower) > 1e3 * _STEP), 1).all(1) for bound in bounds]).all(0)
    off = torch.where(agree & wide.unsqueeze(1), (found - nearer).abs() / scale - 10 * _TOLERANCE, -1.0)
    message = "a gradient by the bounds disagrees with finite differences"
    require(off.amax(1), case.subject(policy), message, bounds)


def _rows(case: Case) -> Rows:
    """One unit with either sign, and two rows of random numbers."""
    size = case.node.size
    unit = torch.eye(size, dtype=case.dtype, device=case.device)[:1]
    values = torch.cat([unit, -unit, case.normal(2, size, place=33)])
    return Rows(values.reshape(1, -1, *case.node.shape), case.node.shape)


def _claimed(case: Case, bounds: Sequence[Interval], points: Sequence[Tensor], policy: SlopePolicy) -> Tensor:
    """The values of the rows' linear functions over these bounds at fixed points, `[N, K]`."""
    claim = Claim.of(case.relaxed(bounds, policy), _rows(case))
    total = claim.linear_part([point[None, :, None] for point in points])[0] + claim.lower
    return total.expand(points[0].shape[0], -1)


def _leaves(bounds: Sequence[Interval]) -> tuple[list[Interval], list[Tensor]]:
    leaves = [Interval(bound.lower.clone().requires_grad_(), bound.upper.clone().requires_grad_()) for bound in bounds]
    return leaves, [end for leaf in leaves for end in (leaf.lower, leaf.upper)]


def _check_finite(case: Case, trial: Trial, policy: SlopePolicy) -> None:
    """Gradients are finite, also over single points and intervals that end at a kink."""
    leaves, ends = _leaves(trial.bounds)
    value = _claimed(case, leaves, [bound.centre for bound in trial.bounds], policy)
    if not value.requires_grad:
        return
    for slope in torch.autograd.grad(value.abs().sum(), ends, allow_unused=True):
        if slope is not None:
            message = "a gradient by the bounds is NaN or infinite"
            require_all(flat(slope.isfinite(), 1).all(1), case.subject(policy), message, trial.bounds)


def _narrowed(case: Case, bound: Interval, place: int) -> Interval:
    """Each interval cut by up to a tenth on either side, at random, so that no ends tie."""
    parts = case.normal(2, *bound.shape, place=91 + place).sigmoid() / 10
    width = bound.upper - bound.lower
    return Interval(bound.lower + parts[0] * width, bound.upper - parts[1] * width)


def _derivative(
    case: Case,
    bounds: Sequence[Interval],
    directions: Sequence[Interval],
    points: Sequence[Tensor],
    policy: SlopePolicy,
) -> Tensor:
    """Automatic derivatives along the directions, `[N, K]`."""
    leaves, ends = _leaves(bounds)
    value = _claimed(case, leaves, points, policy)
    steps = [end for way in directions for end in (way.lower, way.upper)]
    if not value.requires_grad:
        return torch.zeros_like(value)
    found = []
    for row in range(value.shape[1]):
        slopes = torch.autograd.grad(value[:, row].sum(), ends, retain_graph=True, allow_unused=True)
        parts = [flat((slope * step), 1).sum(1) for slope, step in zip(slopes, steps) if slope is not None]
        found.append(torch.stack(parts).sum(0) if parts else torch.zeros_like(value[:, row]))
    return torch.stack(found, 1)
