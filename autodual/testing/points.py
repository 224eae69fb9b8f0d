"""Points between bounds: spread out, at and near the ends, and where an inequality is closest to breaking."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from autodual.interval import Interval

# Distances of points from each end, as parts of the width.
_NEAR = (1e-12, 1e-8, 1e-5, 1e-3, 1e-2)
_ROUNDS = 6
_PROBES = 9

Points = list[Tensor]
#: By how much an inequality holds at points `[P, N, *shape]` of each input: `[P, N, …]`, negative where it breaks.
Gap = Callable[[Points], Tensor]


def spread_points(bounds: Sequence[Interval], count: int, seed: int = 3) -> Points:
    """Points `[P, N, *shape]` per input: the ends, an even grid, near the ends, zero, random points and corners.

    Args:
        bounds: the interval `[N, *shape]` of each input.
        count: steps of the grid, and how many random points there are at most.
        seed: the seed of the random points.
    """
    generator = torch.Generator().manual_seed(seed)
    found: Points = []
    even = [*[place / count for place in range(count + 1)], *_NEAR, *[1 - part for part in _NEAR]]
    for bound in bounds:
        lower, upper = _finite(bound)
        shape = lower.shape
        parts = torch.tensor(even, dtype=torch.float64).reshape(-1, *[1] * lower.dim()).expand(-1, *shape)
        drawn = torch.rand((count, *shape), generator=generator, dtype=torch.float64)
        corners = torch.randint(2, (count, *shape), generator=generator).double()
        # Shuffle the grid of further inputs: else only the diagonal of the box would be tried.
        grid = parts if len(found) == 0 else parts[torch.randperm(len(even), generator=generator)]
        part = torch.cat([grid, drawn[: count // 4], corners[: count if torch.Size(shape[1:]).numel() > 1 else 0]]).to(
            lower.device, lower.dtype
        )
        points = (lower * (1 - part) + upper * part).clamp(lower, upper)
        zero = torch.zeros_like(lower).clamp(lower, upper).unsqueeze(0)
        found.append(torch.cat([points, zero, lower.unsqueeze(0), upper.unsqueeze(0)]))
    return found


def _finite(bound: Interval) -> tuple[Tensor, Tensor]:
    """Finite ends: the largest numbers in place of infinities, 0 in place of NaN."""
    limit = torch.finfo(bound.lower.dtype).max
    return bound.lower.clamp(-limit, limit).nan_to_num(0.0), bound.upper.clamp(-limit, limit).nan_to_num(0.0)


def worst_points(gap: Gap, bounds: Sequence[Interval], count: int) -> tuple[Tensor, Points]:
    """The least gap `[N, *shape]` found for an elementwise op, and where: finer and finer grids around the worst point.

    The op is elementwise, so each scalar has a search of its own.

    Args:
        gap: by how much the inequality holds at points.
        bounds: the interval `[N, *shape]` of each input.
        count: steps of the first grid.
    """
    points = spread_points(bounds, count)
    best, place = _least(gap(points), points)
    width = [upper / 2 - lower / 2 for lower, upper in (_finite(bound) for bound in bounds)]
    generator = torch.Generator().manual_seed(11)
    for number in range(_ROUNDS):
        reach = 2.0 * (2.0 / count) ** (1 + number)
        net = []
        for at, half, bound in zip(place, width, bounds):
            steps = torch.linspace(-1, 1, _PROBES, dtype=torch.float64).reshape(-1, *[1] * at.dim())
            if len(bounds) > 1:
                steps = torch.rand((2 * _PROBES, *at.shape), generator=generator, dtype=torch.float64) * 2 - 1
            steps = steps.to(at.device, at.dtype)
            lower, upper = _finite(bound)
            net.append((at + steps * reach * half).clamp(lower, upper))
        found, where = _least(gap(net), net)
        better = found < best
        best = torch.where(better, found, best)
        place = [torch.where(better, new, old) for new, old in zip(where, place)]
    return best, place


def _least(gap: Tensor, points: Points) -> tuple[Tensor, Points]:
    """The least gap of each scalar, and its points; NaN, which claims nothing, counts as infinite."""
    best, index = gap.nan_to_num(nan=torch.inf, posinf=torch.inf, neginf=-torch.inf).min(0)
    shape = [torch.broadcast_shapes(point.shape[1:], index.shape) for point in points]
    return best, [
        point.expand(point.shape[0], *size).gather(0, index.expand(size).unsqueeze(0))[0]
        for point, size in zip(points, shape)
    ]


def descend(gap: Gap, start: Points, bounds: Sequence[Interval], steps: int = 12) -> tuple[Tensor, Points]:
    """The least gap `[…]` found by projected signed gradients, and where it was.

    Args:
        gap: by how much the inequality holds at points.
        start: points `[1, …, *shape]` of each input.
        bounds: the interval `[…, *shape]` of each input.
        steps: the number of steps.
    """
    points, ends = start, [_finite(bound) for bound in bounds]
    best, place = gap(points).detach()[0], [point[0] for point in points]
    for number in range(steps):
        leaves = [point.detach().requires_grad_() for point in points]
        with torch.enable_grad():
            total = gap(leaves).nan_to_num(0.0, 0.0, 0.0).sum()
        slopes = torch.autograd.grad(total, leaves, allow_unused=True)
        reach = 0.5 * 0.6**number
        points = [
            (leaf.detach() - reach * (high / 2 - low / 2) * _sign(slope, leaf)).clamp(low, high)
            for leaf, slope, (low, high) in zip(leaves, slopes, ends)
        ]
        found = gap(points).detach()[0]
        better = found < best
        best = torch.where(better, found, best)
        place = [_where(better, point[0], old) for point, old in zip(points, place)]
    return best, place


def _sign(slope: Tensor | None, leaf: Tensor) -> Tensor:
    return torch.zeros_like(leaf) if slope is None else slope.nan_to_num(0.0).sign()


def _where(better: Tensor, new: Tensor, old: Tensor) -> Tensor:
    return torch.where(better.reshape(*better.shape, *[1] * (new.dim() - better.dim())), new, old)
