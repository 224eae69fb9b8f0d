"""The contract of `undecided`, and of rules over bounds that are NaN."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from autodual.dual import NonlinearRule, RelaxationRule
from autodual.interval import Interval
from autodual.policies import SlopePolicy
from autodual.tensors import flat
from autodual.testing.case import Case
from autodual.testing.enclosure import Claim, row_values, tried_rows
from autodual.testing.failure import require, require_all
from autodual.testing.intervals import Trial
from autodual.testing.rounding import charged, finite_magnitudes


def check_decided(case: Case, trial: Trial, policy: SlopePolicy) -> None:
    """Tighter bounds of scalars that stay decided change no bound of a row, so that the engine may skip these.

    Args:
        case: the rule and the op.
        trial: the intervals to test over.
        policy: how slopes are chosen.
    """
    rule, subject = case.rule, case.subject(policy)
    assert isinstance(rule, NonlinearRule)
    tighter = [_inside(case, bound, place) for place, bound in enumerate(trial.bounds)]
    after = []
    # Only scalars that stay decided are tightened.
    for before, now, old, new in zip(_masks(case, trial.bounds), _masks(case, tighter), trial.bounds, tighter):
        require_all(torch.tensor(before.dtype == torch.bool), subject, "`undecided` is not bool")
        chosen = ~before & ~now
        ends = torch.where(chosen, new.lower, old.lower), torch.where(chosen, new.upper, old.upper)
        after.append(Interval(*ends))
    rows = tried_rows(case)
    layers = [case.relaxed(bounds, policy) for bounds in (trial.bounds, after)]
    first, second = (Claim.of(layer, rows) for layer in layers)
    points = [point.unsqueeze(2) for point in replace(trial, bounds=tuple(after)).points(4)]
    off = (first.linear_part(points) + first.lower - second.linear_part(points) - second.lower).abs().amax(0)
    room = torch.stack(
        [charged(layer, finite_magnitudes(trial.bounds), case.node.size, case.dtype) for layer in layers]
    ).sum(0)
    allowed = (flat(rows.values.double().abs(), 2) * flat(room.unsqueeze(1), 2)).sum(-1)
    excess = (off - allowed).nan_to_num(nan=-torch.inf, posinf=-torch.inf)
    message = "tighter bounds change the relaxation of scalars that are decided by `undecided`"
    require(excess.amax(1), subject, message, trial.bounds)


def _masks(case: Case, bounds: Sequence[Interval]) -> list[Tensor]:
    """Which scalars of each input the rule calls undecided, `[N, *shape]`."""
    assert isinstance(case.rule, NonlinearRule)
    found = case.rule.undecided(case.op, bounds, case.environment)
    masks = (found,) * len(bounds) if isinstance(found, Tensor) else found
    return [mask.expand(bound.shape) for mask, bound in zip(masks, bounds, strict=True)]


def _inside(case: Case, bound: Interval, place: int) -> Interval:
    """Random intervals within the bounds."""
    generator = torch.Generator().manual_seed(case.seed + 71 + place)
    parts = torch.rand((2, *bound.shape), generator=generator, dtype=torch.float64).to(bound.lower.device, case.dtype)
    ends = (bound.lower * (1 - parts) + bound.upper * parts).clamp(bound.lower, bound.upper)
    unknown = ends.isnan()
    ends = torch.where(unknown, torch.stack([bound.lower, bound.upper]), ends)
    return Interval(ends.amin(0), ends.amax(0))


def check_unknown(case: Case, trial: Trial, policy: SlopePolicy) -> None:
    """NaN bounds give NaN; where one end is a number, a rule may use what that end alone proves.

    Args:
        case: the rule and the op.
        trial: the intervals to test over.
        policy: how slopes are chosen.
    """
    for place in range(len(trial.bounds)):
        _check_both_ends(case, trial, place, policy)
        for side in ("lower", "upper"):
            _check_one_end(case, trial, place, side, policy)


def _replaced(trial: Trial, place: int, scalar: Tensor, lower: Tensor | None, upper: Tensor | None) -> list[Interval]:
    """The bounds with new ends of one input where the mask `scalar` is true."""
    changed = list(trial.bounds)
    ends = [changed[place].lower, changed[place].upper]
    for number, new in enumerate((lower, upper)):
        if new is not None:
            ends[number] = torch.where(scalar, new, ends[number])
    changed[place] = Interval(*ends)
    return changed


def _first_scalar(case: Case, bound: Interval) -> Tensor:
    mask = torch.zeros(bound.shape, dtype=torch.bool, device=case.device)
    flat(mask, 1)[:, 0] = True
    return mask


def _check_both_ends(case: Case, trial: Trial, place: int, policy: SlopePolicy) -> None:
    rule, subject = case.rule, case.subject(policy)
    assert isinstance(rule, NonlinearRule)
    scalar = _first_scalar(case, trial.bounds[place])
    nan = torch.full_like(trial.bounds[place].lower, torch.nan)
    bounds = _replaced(trial, place, scalar, nan, nan)
    message = "NaN bounds count as decided"
    require_all(_masks(case, bounds)[place] | ~scalar, subject, message, bounds)
    reads = _readers(case, trial, place) if not isinstance(rule, RelaxationRule) else scalar
    layer = case.relaxed(bounds, policy)
    for what, found in (
        ("the layer's interval", layer.interval(bounds)),
        ("the range", rule.range(case.op, bounds, case.environment)),
    ):
        lost = found.lower.isnan() | found.upper.isnan()
        require_all(lost | ~reads, subject, f"{what} is a number over NaN bounds", bounds)
    rows = tried_rows(case)
    claim = Claim.of(layer, rows)
    points = [bound.centre.double().nan_to_num(0.0)[None, :, None] for bound in bounds]
    total = claim.linear_part(points)[0] + claim.lower
    asked = (flat(rows.values, 2) * flat(reads.unsqueeze(1), 2)).ne(0).any(-1)
    message = "a row's bound is a number over NaN bounds"
    require_all((total.isnan() | ~asked).all(1), subject, message, bounds)


def _readers(case: Case, trial: Trial, place: int) -> Tensor:
    """Which outputs depend on the first scalar of an input."""
    points = [bound.centre.clone() for bound in trial.bounds]
    before = case.value(points)
    flat(points[place], 1)[:, 0] += 1.0
    flat(points[place], 1)[:, 0] *= 1.5
    return (case.value(points) != before).any(0, keepdim=True).expand(before.shape)


def _check_one_end(case: Case, trial: Trial, place: int, side: str, policy: SlopePolicy) -> None:
    """A NaN lower bound stands for any lower bound, however low; likewise an upper one."""
    bound = trial.bounds[place]
    scalar = _first_scalar(case, bound)
    nan = torch.full_like(bound.lower, torch.nan)
    far = bound.lower - 50 if side == "lower" else bound.upper + 50
    given = _replaced(trial, place, scalar, *((nan, None) if side == "lower" else (None, nan)))
    really = _replaced(trial, place, scalar, *((far, None) if side == "lower" else (None, far)))
    rows, layer = tried_rows(case), case.relaxed(given, policy)
    claim = Claim.of(layer, rows)
    points = replace(trial, bounds=tuple(really)).points(12)
    wide = [point.unsqueeze(2) for point in points]
    values = row_values(rows, case.exact.value(wide))
    room = charged(layer, finite_magnitudes(really), case.node.size, case.dtype).nan_to_num(0.0)
    allowed = (flat(rows.values.double().abs(), 2) * flat(room.unsqueeze(1), 2)).sum(-1)
    excess = (claim.linear_part(wide) + claim.lower - values).nan_to_num(nan=-torch.inf).amax(0) - allowed
    message = f"with a NaN {side} bound, rows are bounded as if it were a number"
    require(excess.amax(1), case.subject(policy), message, given)
