"""The contract of nonlinear rules: their layers enclose the op over any bounds, decided or not, NaN or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from autodual.dual import DualLayer, FamilyLayer, NonlinearRule, RelaxationRule, Rows
from autodual.dual.curves import CurveRule
from autodual.interval import Interval
from autodual.policies import SlopePolicy
from autodual.tensors import flat
from autodual.testing.case import Case
from autodual.testing.decided import check_decided, check_unknown
from autodual.testing.enclosure import Claim, row_values, tried_rows, units_tried
from autodual.testing.execution_checks import check_executed
from autodual.testing.failure import require, require_all
from autodual.testing.gradients import check_gradients
from autodual.testing.intervals import Domain, Pair, Trial, trials
from autodual.testing.line_checks import check_lines
from autodual.testing.points import descend
from autodual.testing.range_checks import check_range
from autodual.testing.rounding import charged, finite_magnitudes
from autodual.testing.windows import check_windows

POLICIES: tuple[SlopePolicy, ...] = ("shared", "adaptive")
_POINTS = 12


def check_nonlinear(case: Case, domain: Domain, extra: Sequence[Pair], *, gradients: bool = True) -> None:
    """Check all properties of a nonlinear rule.

    Args:
        case: the rule and the op.
        domain: the part of the real line on which the op has values.
        extra: further intervals to test over.
        gradients: whether to check derivatives.

    Raises:
        DualRuleError: a property is broken.
    """
    rule = case.rule
    assert isinstance(rule, NonlinearRule)
    elementwise = isinstance(rule, RelaxationRule)
    several = not elementwise or len(case.shapes) > 1
    trial = _of_moderate_values(case, trials(case, domain, extra, _bends(case), several=several))
    check_range(case, trial)
    check_executed(case, trial)
    for policy in POLICIES:
        if isinstance(rule, RelaxationRule):
            check_lines(case, rule.relax(case.op, trial.bounds, case.environment, policy), trial, policy)
        layer = case.relaxed(trial.bounds, policy)
        _check_inequality(case, layer, trial, policy, search=not elementwise)
        _check_interval(case, layer, trial, policy)
        _check_push(case, trial.some(trial.ordinary), policy)
        check_decided(case, trial, policy)
        check_unknown(case, trial.some(trial.ordinary), policy)
        _check_batch(case, trial.some(trial.ordinary), policy)
        if gradients and case.dtype == torch.float64:
            check_gradients(case, trial.some(trial.ordinary), policy)
        pair = trial.some(trial.ordinary).some(torch.arange(2, device=case.device))
        check_windows(case, case.relaxed(pair.bounds, policy), case.subject(policy))
    _check_family(case, trial)
    if isinstance(case.rule, RelaxationRule):
        for lines in case.rule.others(case.op, trial.bounds, case.environment):
            if not lines.parallel:  # those are checked under shared slopes
                check_lines(case, lines, trial, "adaptive")


def _bends(case: Case) -> tuple[float, ...]:
    """Inflections, knots and extremes of a function of one scalar, if it has a `CurveRule`."""
    if not isinstance(case.rule, CurveRule):
        return ()
    curve = case.rule.curve(case.op)
    return (*curve.inflections, *curve.knots, *curve.turning)


def _of_moderate_values(case: Case, trial: Trial) -> Trial:
    """The trial with only those intervals `ordinary` over which the op and products of its values do not overflow."""
    most = torch.finfo(case.dtype).max ** 0.5
    ends = [[pick(bound).double() for bound in trial.bounds] for pick in (lambda b: b.lower, lambda b: b.upper)]
    size = torch.stack([flat(case.exact.value(points).abs(), 1).amax(1) for points in ends]).amax(0)
    return replace(trial, ordinary=trial.ordinary & (size < most))


def _allowed(case: Case, layer: DualLayer, bounds: Sequence[Interval], rows: Rows) -> Tensor:
    """What rigorous bounds charge the rows for rounding, `[N, K]`."""
    room = charged(layer, finite_magnitudes(bounds), case.node.size, case.dtype)
    return (flat(rows.values.double().abs(), 2) * flat(room.unsqueeze(1), 2)).sum(-1)


def _check_inequality(case: Case, layer: DualLayer, trial: Trial, policy: SlopePolicy, *, search: bool) -> None:
    """⟨ν, op(z)⟩ ≥ ⟨pull ν, z⟩ + centre - width for z within the bounds; if linear also ≤ … + centre + width."""
    subject, rows = case.subject(policy), tried_rows(case)
    claim = Claim.of(layer, rows)
    allowed = _allowed(case, layer, trial.bounds, rows)
    exact = [bound.map(lambda end: end.double()) for bound in trial.bounds]
    start = [point.unsqueeze(2) for point in trial.points(_POINTS)]
    sides = [(1.0, claim.lower, "above")]
    if claim.upper is not None:
        sides.append((-1.0, claim.upper, "below"))
    for sign, offset, where in sides:

        def gap(points: list[Tensor], sign: float = sign, offset: Tensor = offset) -> Tensor:
            values = row_values(rows, case.exact.value(points))
            values = torch.where(values.isinf(), torch.nan, values)
            claimed = claim.linear_part(points) + offset
            # Overflow counts as NaN: rigorous bounds charge it infinitely.
            return sign * (values - torch.where(claimed.isinf(), torch.nan, claimed))

        found = gap(start).nan_to_num(nan=torch.inf, posinf=torch.inf, neginf=-torch.inf)
        best, index = found.min(0)
        place = [
            point.expand(-1, -1, rows.count, *point.shape[3:]).gather(
                0, index.reshape(1, *index.shape, *[1] * (point.dim() - 3)).expand(1, *index.shape, *point.shape[3:])
            )
            for point in start
        ]
        at = [point[0] for point in place]
        if search and not case.ties:
            wide = [bound.map(lambda end: end.unsqueeze(1).expand(-1, rows.count, *end.shape[1:])) for bound in exact]
            lower, at = descend(gap, place, wide)
            best = best.minimum(lower.nan_to_num(nan=torch.inf, posinf=torch.inf, neginf=-torch.inf))
        excess = -best - allowed
        _report(subject, f"⟨pull ν, z⟩ + objective lies {where} ⟨ν, op(z)⟩", excess, trial, at)
    if trial.ordinary.any():
        known = claim.lower.isfinite().expand(len(trial.ordinary), -1).all(1)
        require_all(known | ~trial.ordinary, subject, "the layer is not finite over ordinary bounds", trial.bounds)


def _check_family(case: Case, trial: Trial) -> None:
    """The relaxations of `family` enclose the op: both ends, and mixtures that differ by row and unit."""
    assert isinstance(case.rule, NonlinearRule)
    family = case.rule.family(case.op, trial.bounds, case.environment)
    if family is None:
        return
    for relaxation in (family.first, family.second):
        check_lines(case, relaxation, trial, "optimized")
    rows = tried_rows(case)
    mixed = case.normal(len(trial.ordinary), rows.count, *case.node.shape, place=60).clamp(0, 1)
    for choice in (torch.zeros_like(mixed), mixed, torch.ones_like(mixed)):
        layer = FamilyLayer(family, choice)
        _check_inequality(case, layer, trial, "optimized", search=False)
        _check_interval(case, layer, trial, "optimized")


def _report(subject: str, broken: str, excess: Tensor, trial: Trial, at: Sequence[Tensor]) -> None:
    """`require` for the worst row of each sample `[N, K]`, at its points `[N, K, *in]`."""
    worst, row = excess.nan_to_num(nan=-torch.inf).max(1)
    everyone = torch.arange(len(row), device=row.device)
    require(worst, subject, broken, trial.bounds, [point[everyone, row] for point in at])


def _check_interval(case: Case, layer: DualLayer, trial: Trial, policy: SlopePolicy) -> None:
    """The interval of a layer encloses the op, and the bounds that rows of single units give."""
    subject = case.subject(policy)
    found = layer.interval(trial.bounds)
    value = case.exact.value(trial.points(_POINTS))
    room = charged(layer, finite_magnitudes(trial.bounds), case.node.size, case.dtype)
    require(found.lower - value.amin(0) - room, subject, "the layer's interval begins above the op", trial.bounds)
    require(value.amax(0) - found.upper - room, subject, "the layer's interval ends below the op", trial.bounds)
    rows, count = tried_rows(case), units_tried(case)
    least = Claim.of(layer, rows).least(trial.bounds)[:, : 2 * count]
    allowed = 2 * _allowed(case, layer, trial.bounds, rows)[:, : 2 * count]
    claimed = torch.cat([flat(found.lower, 1)[:, :count], -flat(found.upper, 1)[:, :count]], 1).double()
    excess = (claimed - least - allowed).nan_to_num(nan=-torch.inf, posinf=-torch.inf)
    broken = "the layer's interval is narrower than a row's own bound, so that skipping units would change bounds"
    require(excess.amax(1), subject, broken, trial.bounds)


def _check_push(case: Case, trial: Trial, policy: SlopePolicy) -> None:
    """If a layer is linear: ⟨ν, push v⟩ = ⟨pull ν, v⟩ for chosen samples, and `constant` ± `spread` encloses the op."""
    layer, subject = case.relaxed(trial.bounds, policy), case.subject(policy)
    if isinstance(case.rule, RelaxationRule) and policy == "shared":
        require_all(torch.tensor(layer.linear), subject, "shared slopes do not give a linear layer")
    if not layer.linear:
        return
    count = len(trial.ordinary)
    owner = torch.tensor([count - 1, 0, 0, count // 2], device=case.device)
    columns = [case.normal(4, *shape, place=40 + at) for at, shape in enumerate(case.shapes)]
    rows = Rows(case.normal(4, 3, *case.node.shape, place=50), case.node.shape, owner=owner)
    moved = layer.for_owners(owner).push(columns)
    first = flat((rows.values * moved.unsqueeze(1)), 2).sum(2)
    parts = [flat((part.values * column.unsqueeze(1)), 2) for part, column in zip(layer.pull(rows), columns)]
    second = torch.stack([part.sum(2) for part in parts]).sum(0)
    size = torch.stack([part.abs().sum(2) for part in parts]).sum(0)
    room = 64 * case.node.size * torch.finfo(case.dtype).eps * size
    own = [bound.map(lambda end: end[owner]) for bound in trial.bounds]
    require(((first - second).abs() - room).amax(1), subject, "push is not the adjoint of pull", own)
    spread = layer.spread()
    if spread is None:
        spread = torch.zeros_like(moved[:1])
    points = trial.points(_POINTS)
    value = case.exact.value(points)
    room = charged(layer, finite_magnitudes(trial.bounds), case.node.size, case.dtype)
    for place in range(len(value)):
        centre = layer.constant([point[place].to(case.dtype) for point in points]).double()
        off = (value[place] - centre).abs() - spread.double() - 2 * room
        require(off, subject, "the op lies further from the centre line than `spread` says", trial.bounds)


def _check_batch(case: Case, trial: Trial, policy: SlopePolicy) -> None:
    """A sample's layer does not depend on the samples beside it."""
    rows = tried_rows(case)
    whole = Claim.of(case.relaxed(trial.bounds, policy), rows)
    chosen = torch.tensor([len(trial.ordinary) - 1, 0], device=case.device)
    some = trial.some(chosen)
    layer = case.relaxed(some.bounds, policy)
    alone = Claim.of(layer, rows)
    allowed = _allowed(case, layer, some.bounds, rows)
    off = [
        flat((first.expand(len(trial.ordinary), *first.shape[1:])[chosen] - second).abs(), 2).sum(2)
        for first, second in zip((whole.lower.unsqueeze(2), *whole.slopes), (alone.lower.unsqueeze(2), *alone.slopes))
    ]
    slack = 256 * case.node.size * torch.finfo(case.dtype).eps
    excess = torch.stack(off).amax(0) - allowed - slack
    require(excess.amax(1), case.subject(policy), "a sample's layer depends on the samples beside it", some.bounds)
