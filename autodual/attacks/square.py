"""A search that only looks at outputs: random changes of a window, kept where they lower the margin."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from autodual.attacks.ascent import check_counts, generator_of
from autodual.attacks.base import Attack, Function
from autodual.attacks.evaluation_mode import unchanged
from autodual.attacks.geometry import per_sample_norm
from autodual.attacks.kept import Keep, Kept, check_keep
from autodual.attacks.members import ranked
from autodual.attacks.problem import Problem
from autodual.attacks.random_windows import Windows
from autodual.errors import InvalidInputError
from autodual.perturbations import Searchable
from autodual.specs import Specification


@dataclass(frozen=True)
class Square(Attack):
    """Random windows, as the Square attack does (Andriushchenko et al., 2020): no gradient is computed.

    queries: how many points are tried for each sample. share: of the last two axes' entries that a window covers at
    first; it shrinks as the search goes on. keep: "first" leaves samples alone once they are refuted.
    """

    queries: int = 1000
    share: float = 0.3
    restarts: int = 1
    keep: Keep = "first"
    seed: int = 0

    def __post_init__(self) -> None:
        check_counts(self.queries, self.restarts)
        check_keep(self.keep)
        if not 0 < self.share <= 1:
            raise InvalidInputError(f"the share of a window must be above 0 and at most 1, but is {self.share}")

    @torch.no_grad()
    def run(
        self,
        function: Function,
        region: Searchable,
        specification: Specification,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        problem = Problem.of(function, region, specification)
        generator = generator_of(region, self.seed, generator)
        kept = Kept(self.keep, start := region.project(region.centre.detach()))
        with unchanged(function):
            kept.update(start[None], problem.margin(problem.outputs(start))[None])
            for _ in range(self.restarts):
                self._search(problem, kept, generator)
        return kept.points

    def _search(self, problem: Problem, kept: Kept, generator: torch.Generator) -> None:
        """One run, from stripes that cross the set."""
        points, best = kept.points, None
        for query in range(self.queries):
            left = kept.resisting()
            if left is not None:
                kept, problem, points = kept.only(left), problem.select(left), points[left]
                best = None if best is None else best[left]
            if problem.region.count == 0:
                return
            if best is None:
                candidate = _stripes(problem.region, generator)
            else:
                candidate = self._changed(problem.region, points, query, generator)
            margin = ranked(problem.margin(problem.outputs(candidate)))
            kept.update(candidate[None], margin[None], problem.region if problem.region.projection_free else None)
            if best is None:
                points, best = candidate, margin
                continue
            better = margin < best
            best = torch.where(better, margin, best)
            points = torch.where(better.reshape(-1, *[1] * (points.dim() - 1)), candidate, points)
        kept.returned()

    def _changed(self, region: Searchable, points: Tensor, query: int, generator: torch.Generator) -> Tensor:
        """The points with one window of each replaced, projected onto the set."""
        windows = Windows.drawn(points, self.share * _schedule(query / self.queries), generator)
        sign, window = _signs(points, generator), windows.inside.to(points.dtype)
        even = region.projection_free or region.norm_order == math.inf  # of a product nobody can tell for all factors
        return region.each(_moved, points, sign, window, window if even else windows.hills(points.dtype))


def _moved(region: Searchable, points: Tensor, sign: Tensor, window: Tensor, hills: Tensor) -> Tensor:
    """The points of a set that is no product with the window (1 inside, else 0) replaced, or with hills in it."""
    if region.projection_free:
        # Part of the way to where the window is as light or dark as it can be, for smaller windows ever less.
        share = region.per_feature(window.flatten(1).mean(1).sqrt())
        return region.towards(points, region.steepest(window * sign), share)
    if region.norm_order in (None, math.inf):
        return region.project(torch.lerp(points, region.steepest(sign), window))
    # In other balls a window is paid for by all other features: the projection shrinks them.
    push = hills * sign
    return region.project(points + region.radii * push / per_sample_norm(push, region.norm_order))


def _schedule(progress: float) -> float:
    """The factor of the window's share: halved again and again, first quickly."""
    return 0.5 ** sum(progress > place for place in (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8))


def _stripes(region: Searchable, generator: torch.Generator) -> Tensor:
    """Signs that are constant along the last axis but one, as far as they go."""
    like = region.centre
    shape = list(like.shape)
    if like.dim() > 2:
        shape[-2] = 1
    sign = torch.rand(shape, generator=generator, dtype=like.dtype, device=like.device) - 0.5
    found = region.steepest(sign.sign().expand_as(like))
    return found if region.projection_free else region.project(found)


def _signs(points: Tensor, generator: torch.Generator) -> Tensor:
    """One sign for each sample and each entry of the axes before the last two (the channel of an image)."""
    spatial = min(2, points.dim() - 1)
    shape = (*points.shape[: points.dim() - spatial], *[1] * spatial)
    draws = torch.rand(shape, generator=generator, dtype=torch.float32, device=points.device)
    return torch.where(draws < 0.5, -1.0, 1.0).to(points.dtype).expand_as(points)
