"""The nearest points of Wasserstein balls, by an interior point method for the quadratic program over transport plans.

Of each image only pixels that hold mass are rows of the plan. A step solves one dense system of their number for each
channel; channels meet in the budget alone. All is computed in float64, and right to 1e-9 after about twenty steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from autodual.perturbations.wasserstein.entropic_projection import used
from autodual.perturbations.wasserstein.moves import Moves
from autodual.perturbations.wasserstein.transport_plan import arrivals, costs, offsets, repaired

#: Steps at most, where a step stops short of the boundary, and the complementarity at which a sample is done.
STEPS, SHORT, CLOSE = 60, 0.995, 1e-15


def exact_projection(w: Tensor, x: Tensor, budget: Tensor, moves: Moves) -> Tensor:
    """The points of the balls around x that are nearest to w in the Euclidean norm.

    Args:
        w: what is projected, finite, `[N, *channels, H, W]`.
        x: the images around which the balls lie, of the same shape, nonnegative.
        budget: mass times distance that may be spent on each, `[N]`.
        moves: where mass may move.

    Returns:
        Points of the balls, `[N, *channels, H, W]`. In float64 each pixel is right to 1e-9, in units of the largest
        pixel of w and x; in float32 a millionth of the budget is left for rounding.

    Example:
        >>> import torch
        >>> from autodual.perturbations.wasserstein.exact_projection import exact_projection
        >>> from autodual.perturbations.wasserstein.moves import Moves
        >>> x, w = torch.tensor([[[1.0, 0.0]]]), torch.tensor([[[0.0, 1.0]]])
        >>> exact_projection(w, x, torch.tensor([0.25]), Moves(3)).round(decimals=4)
        tensor([[[0.7500, 0.2500]]])
    """
    peak = x.flatten(1).amax(1)
    found, index = x.clone(), ((peak > 0) & (budget > 0)).nonzero().squeeze(1)
    if not len(index):
        return found
    scale = peak[index].double()
    each = scale.reshape(-1, *[1] * (x.dim() - 1))
    source, aim = x[index].double() / each, w[index].double() / each
    allowed = used(budget[index]).double() / scale
    rows = _Rows.of(source, moves)
    plan = rows.plan(_solved(rows, aim, allowed), source)
    found[index] = (arrivals(repaired(plan, source, allowed, moves), moves) * each).to(x)
    return found


@dataclass(frozen=True, eq=False)
class _Rows:
    """The pixels of mass of N samples and C channels, at most m of each, and their T moves.

    place `[N, C, m]`: of the pixel among n; mass `[N, C, m]`: 1 where there is none, which `held` says. target
    `[N, C, m, T]`: of each move, n where it does not exist, which `valid` says. cost `[T]`.
    """

    shape: torch.Size
    place: Tensor
    mass: Tensor
    held: Tensor
    target: Tensor
    valid: Tensor
    cost: Tensor

    @classmethod
    def of(cls, x: Tensor, moves: Moves) -> _Rows:
        height, width = x.shape[-2:]
        flat = x.reshape(len(x), -1, height * width)
        most = int((flat > 0).sum(2).amax())
        place = (flat > 0).to(torch.int8).argsort(dim=2, descending=True, stable=True)[..., :most]
        mass = flat.gather(2, place)
        shift = torch.tensor(offsets(moves), device=x.device)
        down, right = (place // width).unsqueeze(-1) + shift[:, 0], (place % width).unsqueeze(-1) + shift[:, 1]
        held = mass > 0
        valid = (down >= 0) & (down < height) & (right >= 0) & (right < width) & held.unsqueeze(-1)
        target = torch.where(valid, down * width + right, height * width)
        cost = costs(moves, x).flatten()
        return cls(x.shape, place, torch.where(held, mass, 1), held, target, valid, cost)

    @property
    def pixels(self) -> int:
        return self.shape[-2] * self.shape[-1]

    def arrived(self, entries: Tensor) -> Tensor:
        """Entries `[N, C, m, T]` added up at their targets, `[N, C, n]`."""
        found = entries.new_zeros(*entries.shape[:2], self.pixels + 1)
        return found.scatter_add_(2, self.target.flatten(2), entries.flatten(2))[..., :-1]

    def taken(self, values: Tensor) -> Tensor:
        """The value `[N, C, n]` at each target, `[N, C, m, T]`; 0 where there is none."""
        padded = torch.nn.functional.pad(values, (0, 1))
        return padded.gather(2, self.target.flatten(2)).reshape(self.target.shape)

    def dense(self, entries: Tensor) -> Tensor:
        """Entries `[N, C, m, T]` as matrices from pixels of mass to targets, `[N, C, m, n]`."""
        found = entries.new_zeros(*entries.shape[:3], self.pixels + 1)
        return found.scatter_add_(3, self.target, entries)[..., :-1]

    def plan(self, entries: Tensor, x: Tensor) -> Tensor:
        """Entries `[N, C, m, T]` as a transport plan of the images, `[T, N, *channels, H, W]`."""
        whole = entries.new_zeros(*entries.shape[:2], self.pixels, entries.shape[3])
        whole.scatter_add_(2, self.place.unsqueeze(-1).expand_as(entries), entries * self.valid)
        return whole.movedim(-1, 0).reshape(-1, *x.shape)


@dataclass(eq=False)
class _Iterate:
    """Primal entries, slack of the budget, multipliers of the rows, of the budget, and of entries being nonnegative."""

    entries: Tensor
    slack: Tensor
    rows: Tensor
    budget: Tensor
    bounds: Tensor

    def moved(self, step: _Iterate, length: Tensor) -> _Iterate:
        each = length.reshape(-1, 1, 1, 1)
        return _Iterate(
            self.entries + each * step.entries,
            self.slack + length * step.slack,
            self.rows + each[..., 0] * step.rows,
            self.budget + length * step.budget,
            self.bounds + each * step.bounds,
        )

    def room(self, step: _Iterate) -> Tensor:
        """How far along the step everything stays positive, at most 1, `[N]`."""
        pairs = (
            (self.entries.flatten(1), step.entries.flatten(1)),
            (self.bounds.flatten(1), step.bounds.flatten(1)),
            (self.slack[:, None], step.slack[:, None]),
            (self.budget[:, None], step.budget[:, None]),
        )
        lengths = [torch.where(change < 0, -value / change, torch.inf).amin(1) for value, change in pairs]
        return torch.stack(lengths).amin(0).clamp(max=1)


def _solved(rows: _Rows, w: Tensor, budget: Tensor) -> Tensor:
    """The entries `[N, C, m, T]` of the plans whose arrivals are nearest to w."""
    aim = w.reshape(len(w), -1, rows.pixels)
    now = _start(rows, budget)
    done = torch.zeros_like(budget, dtype=torch.bool)
    for _ in range(STEPS):
        system = _System(rows, now, aim, budget)
        done = done | (system.gap <= CLOSE) | system.singular
        if done.all():
            break
        straight = system.step(torch.zeros_like(budget))
        room = now.room(straight)
        centring = (system.complementarity(now.moved(straight, room)) / system.gap).clamp(0, 1) ** 3
        # Mehrotra corrects for the whole of the straight step, and can go in circles where little of it was possible.
        step = system.step(centring * system.gap, straight, room**2)
        length = torch.where(done, 0, SHORT * now.room(step))
        now = now.moved(step, length)
    return now.entries


def _start(rows: _Rows, budget: Tensor) -> _Iterate:
    """Half of the budget is spent, evenly, unless so much would move more than half of the mass."""
    even = rows.mass.unsqueeze(-1) / rows.valid.sum(-1, keepdim=True).clamp(min=1) * rows.valid
    spent = (even * rows.cost).flatten(1).sum(1)
    share = (budget / (2 * spent.clamp(min=1e-300))).clamp(max=0.5).reshape(-1, 1, 1, 1)
    entries = share * even
    entries[..., 0] += (1 - share[..., 0]) * rows.mass
    slack = (budget - share.flatten() * spent).clamp(min=0.1 * budget)
    ones = torch.ones_like(entries)
    entries = torch.where(rows.valid, entries, ones)
    return _Iterate(entries, slack, torch.zeros_like(rows.mass), 1 / slack.clamp(min=1), ones)


class _System:
    """The linear equations of one step, factored once.

    With Θ = entries / bounds they are those of a matrix of rows, M = diag(Θ 1) − Θ diag(1 / (1 + Θᵀ1)) Θᵀ, and one more
    for the budget.
    """

    def __init__(self, rows: _Rows, now: _Iterate, aim: Tensor, budget: Tensor):
        self.rows, self.now = rows, now
        valid, entries = rows.valid, torch.where(rows.valid, now.entries, 0)
        self.weights = torch.where(valid, now.entries / now.bounds, 0)
        self.damping = 1 / (1 + rows.arrived(self.weights))
        miss = rows.arrived(entries) - aim
        price = now.budget.reshape(-1, 1, 1, 1) * rows.cost
        self.dual = rows.taken(miss) + price - now.rows.unsqueeze(-1) - now.bounds
        self.primal = torch.where(rows.held, entries.sum(-1) - rows.mass, 0)
        self.spent = (entries * rows.cost).flatten(1).sum(1) + now.slack - budget
        self.count = valid.flatten(1).sum(1) + 1
        self.gap = self.complementarity(now)
        dense = rows.dense(self.weights)
        scaled = dense * self.damping.unsqueeze(2)
        matrix = -scaled @ dense.transpose(2, 3)
        # Rows of M add up to those of `scaled`: so its diagonal comes without a difference of large numbers.
        matrix.diagonal(dim1=2, dim2=3).zero_()
        diagonal = scaled.sum(-1) - matrix.sum(-1) + torch.where(rows.held, 0, 1)
        matrix.diagonal(dim1=2, dim2=3).copy_(diagonal)
        self.factor, failed = torch.linalg.cholesky_ex(matrix)
        self.singular = (failed != 0).flatten(1).any(1)
        self.factor = torch.where((failed != 0)[..., None, None], torch.eye(matrix.shape[-1]).to(matrix), self.factor)
        self.cost_image = self.inverse(rows.cost * valid)

    def complementarity(self, at: _Iterate) -> Tensor:
        """The mean product of what must not both be positive, `[N]`."""
        products = torch.where(self.rows.valid, at.entries * at.bounds, 0).flatten(1).sum(1)
        return (products + at.slack * at.budget) / self.count

    def inverse(self, values: Tensor) -> Tensor:
        """The inverse of the Hessian of the entries, AᵀA + 1 / Θ, times values `[N, C, m, T]`."""
        scaled = self.weights * values
        return scaled - self.weights * self.rows.taken(self.damping * self.rows.arrived(scaled))

    def step(self, target: Tensor, before: _Iterate | None = None, share: Tensor | None = None) -> _Iterate:
        """To where all products are `target` `[N]`, less a share `[N]` of those of the step `before`.

        What the solution misses by rounding is solved for once more: near the end the equations are nearly singular.
        """
        now, valid = self.now, self.rows.valid
        pairs, last = target.reshape(-1, 1, 1, 1) - now.entries * now.bounds, target - now.slack * now.budget
        if before is not None and share is not None:
            pairs = pairs - share.reshape(-1, 1, 1, 1) * before.entries * before.bounds
            last = last - share * before.slack * before.budget
        sides = _Iterate(
            torch.where(valid, -self.dual, 0), last, -self.primal, -self.spent, torch.where(valid, pairs, 0)
        )
        found = self._solved(sides)
        return found.moved(self._solved(self._missed(sides, found)), torch.ones_like(target))

    def _solved(self, sides: _Iterate) -> _Iterate:
        """The step for right sides of the equations: `entries` that of their stationarity, `rows` and `budget` of those
        limits, `bounds` and `slack` of products.
        """
        rows, now = self.rows, self.now
        force = torch.where(rows.valid, sides.bounds / now.entries + sides.entries, 0)
        limit = sides.budget - sides.slack / now.budget
        image = self.inverse(force)
        sums = torch.stack([sides.rows - image.sum(-1), self.cost_image.sum(-1)], -1)
        base, slope = torch.cholesky_solve(sums, self.factor).unbind(-1)
        given = (rows.cost * image).flatten(1).sum(1) + (self.cost_image.sum(-1) * base).flatten(1).sum(1) - limit
        held = (rows.cost * self.cost_image).flatten(1).sum(1) - (self.cost_image.sum(-1) * slope).flatten(1).sum(1)
        price = given / (now.slack / now.budget + held)
        lift = base + slope * price.reshape(-1, 1, 1)
        raised = force - rows.cost * price.reshape(-1, 1, 1, 1) + lift.unsqueeze(-1)
        entries = torch.where(rows.valid, self.inverse(torch.where(rows.valid, raised, 0)), 0)
        bounds = torch.where(rows.valid, (sides.bounds - now.bounds * entries) / now.entries, 0)
        slack = (sides.slack - now.slack * price) / now.budget
        return _Iterate(entries, slack, torch.where(rows.held, lift, 0), price, bounds)

    def _missed(self, sides: _Iterate, found: _Iterate) -> _Iterate:
        """The right sides less the left sides at a step."""
        rows, now = self.rows, self.now
        pull = rows.taken(rows.arrived(found.entries)) + found.budget.reshape(-1, 1, 1, 1) * rows.cost
        force = sides.entries - pull + found.rows.unsqueeze(-1) + found.bounds
        return _Iterate(
            torch.where(rows.valid, force, 0),
            sides.slack - now.slack * found.budget - now.budget * found.slack,
            torch.where(rows.held, sides.rows - found.entries.sum(-1), 0),
            sides.budget - (found.entries * rows.cost).flatten(1).sum(1) - found.slack,
            torch.where(rows.valid, sides.bounds - now.entries * found.bounds - now.bounds * found.entries, 0),
        )
