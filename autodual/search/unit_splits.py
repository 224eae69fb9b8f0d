"""Splits of units: one half has z ≤ point, the other z ≥ point, as intervals and as constraints with multipliers."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from autodual.passes.plan import Plan
from autodual.search.actions import Action, best_of
from autodual.search.part_batch import Choice, Parts, with_interval
from autodual.search.part_bounds import Bounded
from autodual.tensors import flat


class UnitSplits(Action):
    """Splits the operand of a nonlinear op; units are numbered over all sites."""

    name = "unit"

    def __init__(self, plan: Plan, *, refreshes: bool):
        super().__init__(plan)
        self.sites = [site.name for site in plan.bound_sites if site.name not in plan.graph.inputs]
        self.sizes = [plan.graph[name].size for name in self.sites]
        #: Whether intervals of the halves are worth computing again.
        self.refreshes = refreshes

    def score(self, bounded: Bounded) -> Choice:
        parts = bounded.parts
        found = bounded.gains
        gains, points = [], []
        for name, size in zip(self.sites, self.sizes):
            if name not in found:
                gains.append(bounded.error.new_zeros(parts.count, size))
                points.append(gains[-1])
                continue
            site = found[name]
            # Where no gain is predicted anywhere, the widest undecided unit is split: it is progress all the same.
            width = parts.intervals[name].upper - parts.intervals[name].lower
            least = torch.where(site.undecided, width, 0.0).double() * torch.finfo(torch.float32).tiny
            gains.append(flat(torch.maximum(site.gain.double(), least)))
            points.append(flat(site.point.double()))
        if not gains:
            nothing = bounded.error.new_zeros(parts.count)
            return Choice(nothing, parts.claim * 0, nothing)
        choice = best_of(torch.cat(gains, 1), torch.cat(points, 1))
        return self._divisible(parts, choice)

    def _divisible(self, parts: Parts, choice: Choice) -> Choice:
        """The choice, with no gain where both halves would not be smaller."""
        can = torch.zeros_like(choice.gain, dtype=torch.bool)
        for name, mask, unit in self._by_site(choice):
            low, high = (flat(end).gather(1, unit.unsqueeze(1)).squeeze(1) for end in _ends(parts, name))
            at = choice.point.to(low)
            can |= mask & (low < at) & (at < high)
        return replace(choice, gain=torch.where(can, choice.gain, 0.0))

    def _by_site(self, choice: Choice) -> list[tuple[str, Tensor, Tensor]]:
        """By site, which parts `[M]` choose one of its units, and the unit's number in it (0 for others)."""
        found, start = [], 0
        for name, size in zip(self.sites, self.sizes):
            mask = (choice.unit >= start) & (choice.unit < start + size)
            found.append((name, mask, torch.where(mask, choice.unit - start, 0)))
            start += size
        return found

    def children(self, parts: Parts, choice: Choice) -> tuple[Parts, Parts]:
        below, above = parts, parts
        infinity = torch.full_like(choice.point, torch.inf)
        for name, mask, unit in self._by_site(choice):
            if not bool(mask.any()):
                continue
            point = choice.point
            below = with_interval(below, name, unit, -infinity, torch.where(mask, point, infinity))
            above = with_interval(above, name, unit, torch.where(mask, point, -infinity), infinity)
            below = self._signed(below, name, mask, unit, point, -1)
            above = self._signed(above, name, mask, unit, point, 1)
        stale = torch.full_like(parts.stale, self.refreshes)
        return replace(below, stale=parts.stale | stale), replace(above, stale=parts.stale | stale)

    def _signed(self, parts: Parts, name: str, mask: Tensor, unit: Tensor, point: Tensor, sign: int) -> Parts:
        """Parts with the constraint that goes with the interval; its multiplier starts at zero."""

        def put(values: Tensor, new: Tensor, lead: int) -> Tensor:
            whole = values.flatten(lead)
            place = unit.reshape(-1, *[1] * lead).expand(*whole.shape[:lead], 1)
            old = whole.gather(lead, place)
            chosen = torch.where(mask.reshape(place[:, :1].shape if lead == 1 else (-1, 1, 1)), new.to(whole), old)
            return whole.scatter(lead, place, chosen).reshape(values.shape)

        signs = put(parts.sign[name], torch.full_like(point, sign).unsqueeze(1), 1)
        points = put(parts.point[name], point.unsqueeze(1), 1)
        multipliers = put(parts.multiplier[name], torch.zeros_like(point).reshape(-1, 1, 1), 2)
        return replace(
            parts,
            sign={**parts.sign, name: signs},
            point={**parts.point, name: points},
            multiplier={**parts.multiplier, name: multipliers},
        )


def _ends(parts: Parts, name: str) -> tuple[Tensor, Tensor]:
    return parts.intervals[name].lower, parts.intervals[name].upper
