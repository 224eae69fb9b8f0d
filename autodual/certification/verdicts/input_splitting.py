"""Branch and bound over inputs: boxes that bounds leave open are halved until every part is decided.

A part's dual bound comes with linear functions l_i that lie below its rows a_i · f - b_i throughout the part. Inputs
that violate a conjunction make all its rows at most zero, so none exists where some convex combination of the l_i is
positive on the whole part. The combination is found as a game's value, by multiplicative weights.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from autodual.attacks import Attack
from autodual.bounds.rounding.error_factor import error_factor
from autodual.certification.verdicts.clock import Clock, Pace
from autodual.certification.verdicts.counterexample_confirmation import Counterexample
from autodual.certification.verdicts.counterexample_search import Hunter
from autodual.certification.verdicts.open_cases import Problem
from autodual.network import DualNetwork
from autodual.perturbations import Box
from autodual.tensors import flat

# With more varying inputs than this, halving one of them gains too little.
MOST_INPUTS = 64
# With more waiting parts than this, the latest ones go first, so that their number stops growing.
_BREADTH = 20_000
_ROUNDS = 24
# Time spent on bounds between two attacks, in units of the first attack's time.
_BETWEEN_ATTACKS = 3.0


@dataclass(frozen=True, eq=False)
class Parts:
    """Boxes to decide: float64 ends `[M, D]`, the case's place in the problem `[M]` and its open conjunctions
    `[M, Q]`; `hope` `[M]` is the parent's bound, the lower the likelier a counterexample."""

    lower: Tensor
    upper: Tensor
    case: Tensor
    open: Tensor
    hope: Tensor

    def select(self, index: Tensor) -> Parts:
        return Parts(self.lower[index], self.upper[index], self.case[index], self.open[index], self.hope[index])

    def joined(self, other: Parts) -> Parts:
        return Parts(
            torch.cat([self.lower, other.lower]),
            torch.cat([self.upper, other.upper]),
            torch.cat([self.case, other.case]),
            torch.cat([self.open, other.open]),
            torch.cat([self.hope, other.hope]),
        )

    @property
    def count(self) -> int:
        return self.case.shape[0]


@dataclass(frozen=True, eq=False)
class Bounded:
    """For each part `[M, Q]` lower bounds of its conjunctions' best combinations; for the open one with the least of
    them its linear function's coefficients `[M, D]` and the point `[M, D]` where that is least."""

    value: Tensor
    slope: Tensor
    worst: Tensor


@dataclass
class Outcome:
    """What the search ended with: a counterexample, or which cases of the problem are still open and why."""

    found: Counterexample | None = None
    undecided: set[int] = field(default_factory=set)
    exhausted: bool = False
    parts: int = 0


def split_search(
    dual: DualNetwork, problem: Problem, hunter: Hunter, clock: Clock, attack: Attack | None = None
) -> Outcome:
    """Decide all cases of a problem, or find a counterexample, in the time there is.

    attack: starts now and then from the points where the parts' bounds are least.
    `undecided` are places in the problem; `exhausted` says that a part was left whose ends are next to each other.
    """
    outcome, pace = Outcome(), Pace(8)
    lower, upper = flat(problem.lower), flat(problem.upper)
    waiting = Parts(
        lower,
        upper,
        torch.arange(lower.shape[0], device=lower.device),
        torch.ones(problem.spec.member.shape[:2], dtype=torch.bool, device=lower.device),
        lower.new_zeros(lower.shape[0]),
    )
    stuck: list[Tensor] = []
    hunted = 0.0
    while waiting.count and not clock.over:
        start = time.monotonic()
        batch, waiting = _taken(waiting, pace.size)
        bounded = bound_parts(dual, problem, batch)
        outcome.parts += batch.count
        batch = replace(batch, open=batch.open & ~_positive(bounded.value), hope=_hope(bounded.value, batch.open))
        left = batch.open.any(1).nonzero().squeeze(1)
        batch, bounded = batch.select(left), _selected(bounded, left)
        if batch.count:
            begun = clock.seconds
            due = attack if begun >= hunted else None
            outcome.found = _examined(problem, batch, bounded, hunter, due)
            hunted = clock.seconds + _BETWEEN_ATTACKS * (clock.seconds - begun) if due is not None else hunted
            if outcome.found is not None:
                return outcome
            halves, small = _halved(batch, bounded.slope, upper - lower)
            stuck.append(small)
            waiting = waiting.joined(halves)
        pace.learn(time.monotonic() - start)
    outcome.exhausted = any(bool(part.numel()) for part in stuck)
    outcome.undecided = set(torch.cat([waiting.case, *stuck]).tolist())
    return outcome


def _positive(value: Tensor) -> Tensor:
    return (value > 0) & value.isfinite()


def _hope(value: Tensor, open_: Tensor) -> Tensor:
    return torch.where(open_, value, torch.inf).min(1).values.nan_to_num(-torch.inf, torch.inf, -torch.inf)


def _selected(bounded: Bounded, index: Tensor) -> Bounded:
    return Bounded(bounded.value[index], bounded.slope[index], bounded.worst[index])


def _taken(waiting: Parts, size: int) -> tuple[Parts, Parts]:
    """The next batch and the rest: parts with the least bounds first, or the latest parts if too many wait."""
    if waiting.count > _BREADTH:
        order = torch.arange(waiting.count - 1, -1, -1, device=waiting.case.device)
    else:
        order = waiting.hope.argsort()
    rest = order[size:].sort().values
    return waiting.select(order[:size]), waiting.select(rest)


def bound_parts(dual: DualNetwork, problem: Problem, parts: Parts) -> Bounded:
    """Rigorous bounds of the open conjunctions of some parts, in float64."""
    spec = problem.spec.select(parts.case)
    shape = (-1, *problem.lower.shape[1:])
    lower, upper = parts.lower, parts.upper
    middle = lower + (upper - lower) / 2
    box = Box(lower.reshape(shape), upper.reshape(shape))
    with torch.no_grad():
        found = dual(
            middle.reshape(shape), box, spec.matrix, slopes="adaptive", rigorous=True, linear=True, exact=True
        ).objective
    assert found is not None and found.linear is not None
    (coefficients,) = found.linear.coefficients.values()
    slope = flat(coefficients, 2)
    offset = found.linear.offset - spec.offset
    # Rounding of l_i's values and of their combinations: sums of D + R terms, and of ends that were read from decimals.
    size = torch.maximum(lower.abs(), upper.abs()).unsqueeze(1)
    terms = (slope.abs() * size).sum(2) + found.linear.offset.abs() + spec.offset.abs()
    factor = error_factor(slope.shape[1] + slope.shape[2], torch.float64)
    offset = offset - factor * terms - slope.shape[2] * torch.finfo(torch.float64).tiny
    return _combined(slope, offset, spec.member, parts.open, lower, upper)


def _combined(slope: Tensor, offset: Tensor, member: Tensor, open_: Tensor, lower: Tensor, upper: Tensor) -> Bounded:
    """The best combination of each conjunction's linear functions, slope `[M, R, D]` and offset `[M, R]`."""
    middle, half = lower + (upper - lower) / 2, (upper - lower) / 2
    at_middle = (slope * middle.unsqueeze(1)).sum(2) + offset
    single = at_middle - (slope.abs() * half.unsqueeze(1)).sum(2)
    values, slopes, points = [], [], []
    for number in range(member.shape[1]):
        rows = member[:, number]
        best = torch.where(rows, single, -torch.inf)
        value, row = best.max(1)
        chosen = torch.zeros_like(best).scatter(1, row.unsqueeze(1), 1.0)
        if int(rows.sum(1).max()) > 1:
            value, chosen = _mixed(slope, at_middle, rows, half, value, chosen)
        mixed = (chosen.unsqueeze(2) * slope).sum(1)
        values.append(value)
        slopes.append(mixed)
        points.append(torch.where(mixed > 0, lower, torch.where(mixed < 0, upper, middle)))
    value = torch.stack(values, 1)
    least = torch.where(open_, value.nan_to_num(-torch.inf), torch.inf).argmin(1)
    every = torch.arange(value.shape[0], device=value.device)
    return Bounded(value, torch.stack(slopes, 1)[every, least], torch.stack(points, 1)[every, least])


def _mixed(
    slope: Tensor, at_middle: Tensor, rows: Tensor, half: Tensor, value: Tensor, chosen: Tensor
) -> tuple[Tensor, Tensor]:
    """Multiplicative weights on a conjunction's rows: every weighting is sound, the best one seen is kept."""
    weight = rows / rows.sum(1, keepdim=True).clamp(min=1)
    spread = (slope.abs() * half.unsqueeze(1)).sum(2)
    scale = torch.where(rows, at_middle.abs() + spread, 0.0).amax(1, keepdim=True).clamp(min=1e-300)
    for _ in range(_ROUNDS):
        mixed = (weight.unsqueeze(2) * slope).sum(1)
        reply = at_middle - (slope * (half * mixed.sign()).unsqueeze(1)).sum(2)
        # The weights are renormalised only up to rounding; scaling a combination does not change its sign.
        total = (weight * at_middle).sum(1) - (mixed.abs() * half).sum(1)
        better = total > value
        value = torch.where(better, total, value)
        chosen = torch.where(better.unsqueeze(1), weight, chosen)
        grown = torch.where(rows, weight * (reply / scale).clamp(-1, 1).exp(), 0.0)
        weight = grown / grown.sum(1, keepdim=True).clamp(min=1e-300)
    return value, chosen


def _examined(
    problem: Problem, parts: Parts, bounded: Bounded, hunter: Hunter, attack: Attack | None
) -> Counterexample | None:
    """The parts' centres and where their bounds are least; from there the attack, over the whole case's box."""
    shape = (-1, *problem.lower.shape[1:])
    here = problem.select(parts.case.tolist())
    found = hunter.examine(here, hunter.inside(here, ((parts.lower + parts.upper) / 2).reshape(shape)))
    least = hunter.inside(here, bounded.worst.reshape(shape))
    if found is not None or attack is None:
        return found or hunter.examine(here, least)
    return hunter.descend(here, least, attack)


def _halved(parts: Parts, slope: Tensor, whole: Tensor) -> tuple[Parts, Tensor]:
    """Both halves of every part that can be halved, and the cases of those that cannot.

    Where an input is split: a large coefficient times width says that its linear function's minimum will rise, a large
    share of the first width left that its relaxations are still loose. The product of both took the fewest parts.
    """
    width = parts.upper - parts.lower
    middle = parts.lower + width / 2
    divisible = (middle > parts.lower) & (middle < parts.upper)
    relative = width / whole[parts.case].clamp(min=torch.finfo(width.dtype).tiny)
    score = slope.abs() * width * relative
    flat = ~(torch.where(divisible, score, 0.0) > 0).any(1, keepdim=True)
    score = torch.where(divisible, torch.where(flat, relative, score), -1.0)
    axis = score.argmax(1, keepdim=True)
    can = divisible.any(1)
    at = middle.gather(1, axis)
    left = replace(parts, upper=parts.upper.scatter(1, axis, at)).select(can.nonzero().squeeze(1))
    right = replace(parts, lower=parts.lower.scatter(1, axis, at)).select(can.nonzero().squeeze(1))
    return left.joined(right), parts.case[~can]
