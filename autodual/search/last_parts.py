"""Parts that cannot be split any more: the multipliers that prove most of them are those of a linear program.

Where splits have decided every unit, the network is linear on the part, and the part is a box cut by half-spaces: one
for each split. A program's multipliers then prove its least value, where steps uphill only come near to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from autodual.bounds import BoundState
from autodual.bounds.rows.pull import Progress, advance, linear_bound
from autodual.dual.rows import Rows
from autodual.search.combinations import Functions
from autodual.search.part_batch import Parts
from autodual.search.part_bounds import PartBounds
from autodual.tensors import flat


@dataclass(frozen=True, eq=False)
class LeafSolution:
    """What proves most of a program's functions: their shares `[R]`, and the multipliers `[K]` of its half-spaces.

    point: of the least value, `[D]`; None where there is no point.
    """

    shares: Tensor
    multipliers: Tensor
    point: Tensor | None


#: Solves the program of a part: its functions, of which the greatest is to be least; functions that are not negative on
#: it, `[K, D]`; and its box's ends `[D]`. None where nothing was found.
SolveProgram = Callable[[Functions, Functions, Tensor, Tensor], "LeafSolution | None"]


@dataclass(frozen=True, eq=False)
class LastPart:
    """A part, alone in its batch, with the multipliers of its program.

    weight: the combination of its claim's half-spaces that they belong to, `[1, R]`. point: where the claim is nearest
    to being refuted, `[1, *shape]`, or None.
    """

    part: Parts
    weight: Tensor
    point: Tensor | None


def with_best_multipliers(bounds: PartBounds, part: Parts, solve: SolveProgram) -> LastPart | None:
    """A part, alone in its batch, with what proves most of it; None where there is no program, or no solution."""
    plain = replace(part, multiplier={name: torch.zeros_like(beta) for name, beta in part.multiplier.items()})
    found = bounds.bound(plain, list(bounds.regions)[-1], refresh=False, steps=0)
    splits = list(_splits(found.state, part))
    if found.functions is None or not splits:
        return None
    (source,) = bounds.plan.graph.inputs
    box, member = part.intervals[source], bounds.claims.member[part.claim][0]
    least = Functions(found.functions.slope[0, member], found.functions.offset[0, member])
    kept = Functions(*(torch.cat([getattr(one.functions, name) for one in splits]) for name in ("slope", "offset")))
    solved = solve(least, kept, flat(box.lower)[0].double(), flat(box.upper)[0].double())
    if solved is None:
        return None
    parted = solved.multipliers.split([len(one.units) for one in splits])
    multiplier = {**plain.multiplier, **{one.site: one.multipliers(part, each) for one, each in zip(splits, parted)}}
    weight = solved.shares.new_zeros(member.shape).masked_scatter(member, solved.shares)
    point = None if solved.point is None else solved.point.reshape(box.lower.shape)
    return LastPart(replace(part, multiplier=multiplier), weight.unsqueeze(0), point)


@dataclass(frozen=True, eq=False)
class _SplitUnits:
    """The split units of a site `[K]`, and functions `[K, D]` of the input that are not negative on the part."""

    site: str
    units: Tensor
    functions: Functions

    def multipliers(self, part: Parts, beta: Tensor) -> Tensor:
        """β `[K]` at the units, the same for all rows: `[1, R, *shape]`."""
        like = part.multiplier[self.site]
        for_rows = beta.to(like).expand(1, like.shape[1], -1)
        return torch.zeros_like(flat(like, 2)).index_copy(2, self.units, for_rows).reshape(like.shape)


def _splits(state: BoundState, part: Parts) -> Iterator[_SplitUnits]:
    (source,) = state.regions
    for site, signs in part.sign.items():
        sign = flat(signs)[0].double()
        units = sign.nonzero().squeeze(1)
        if not len(units):
            continue
        shape = state.graph[site].shape
        one_hot = torch.nn.functional.one_hot(units, sign.shape[0]).to(state.environment.dtype)
        start = Progress.start(site, Rows(one_hot.reshape(1, -1, *shape), shape), one_sided=True)
        linear = linear_bound(state, advance(state, start))
        chosen, point = sign[units], flat(part.point[site])[0, units].double()
        slope, offset = flat(linear.coefficients[source], 2)[0].double(), linear.offset[0].double()
        yield _SplitUnits(site, units, Functions(chosen.unsqueeze(1) * slope, chosen * (offset - point)))
