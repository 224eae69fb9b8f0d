"""Backward mode: rows of cotangents are pulled from a node to the inputs, gathering the dual objective on their way.

The engine knows no op by name: it asks each node's layer for its pull and its contribution (Theorem 3).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from autodual.bounds.rounding.error_factor import Debt, underflow
from autodual.bounds.state.bound_state import BoundState
from autodual.bounds.state.kept_bytes import KEPT_BY_BOUND, kept_by_layer
from autodual.dual.layer import Contribution
from autodual.dual.row_products import inner
from autodual.dual.row_windows import Place
from autodual.dual.rows import Rows
from autodual.interval import Interval


class Progress(NamedTuple):
    """Rows on their way: pending cotangents by node, and the objective so far.

    one_sided: nobody asks for the upper bound. owed: rows that were still shared by all samples, with the debts to
    charge them for once each sample has its own; None where there is nothing to wait for.

    Invariant, for every z in the perturbation set: centre - width + Σ ⟨pending, value of the node at z⟩ is at most the
    row's linear function of the starting node's value (and with + width at least, if all layers passed were linear). It
    holds in exact arithmetic for the numbers as computed, once `error`, the rounding error's bound, is subtracted too.
    """

    pending: dict[str, Rows]
    centre: Tensor
    width: Tensor | None = None
    error: Tensor | None = None
    owed: tuple[tuple[Debt, Rows], ...] | None = None
    one_sided: bool = False

    @classmethod
    def start(cls, name: str, rows: Rows, *, one_sided: bool = False) -> Progress:
        return cls({name: rows}, rows.base.new_zeros(1, rows.count), one_sided=one_sided)

    @classmethod
    def start_shared(cls, name: str, rows: Rows, *, one_sided: bool = False) -> Progress:
        """Rows `[1, K, …]` that all samples share, until `select` or `restrict` gives them owners and places."""
        return cls.start(name, rows, one_sided=one_sided)._replace(owed=())

    def gain(self, contribution: Contribution) -> Progress:
        centre = self.centre if contribution.centre is None else self.centre + contribution.centre
        width = _sum(self.width, contribution.width)
        return Progress(self.pending, centre, width, self.error, self.owed, self.one_sided)

    def pay(self, debt: Debt, rows: Rows) -> Progress:
        """Charge rows for rounding at the node where they are."""
        error, owed = self.error, self.owed
        if owed is None:
            error = _sum(error, inner(rows.crop(), debt.magnitude, absolute=True) + rows.samples(debt.floor))
        else:
            owed = (*owed, (debt, rows))
        return Progress(self.pending, self.centre, self.width, error, owed, self.one_sided)

    def select(self, row: Tensor, place: Place) -> Progress:
        """Groups of chosen rows, each with its own sample: group g has the shared rows row `[G, k]`, at its place."""
        return self._settled(self.centre[0][row], lambda rows: rows.select(row).placed(place))

    def mirrored(self) -> Progress:
        """Rows that only affine layers have pulled, followed by their negatives, for lower bounds alone."""
        assert self.width is None
        pending = {name: rows.mirrored() for name, rows in self.pending.items()}
        error = None if self.error is None else torch.cat([self.error, self.error], 1)
        owed = None if self.owed is None else tuple((debt, rows.mirrored()) for debt, rows in self.owed)
        return Progress(pending, torch.cat([self.centre, -self.centre], 1), None, error, owed, one_sided=True)

    def restrict(self, place: Place) -> Progress:
        """All shared rows, once for each group of a place."""
        return self._settled(self.centre, lambda rows: rows.placed(place))

    def _settled(self, centre: Tensor, own: Callable[[Rows], Rows]) -> Progress:
        """Give shared rows their owners, and charge them for the debts that had to wait for that."""
        assert self.owed is not None and self.width is None and self.error is None
        pending = {name: own(rows) for name, rows in self.pending.items()}
        progress = Progress(pending, centre, one_sided=self.one_sided)
        for debt, rows in self.owed:
            progress = progress.pay(debt, own(rows))
        return progress

    def keep(self, index: Tensor) -> Progress:
        """Some of the groups of a ragged batch."""
        width, error = (None if part is None else part[index] for part in (self.width, self.error))
        pending = {name: rows.keep(index) for name, rows in self.pending.items()}
        return Progress(pending, self.centre[index], width, error, one_sided=self.one_sided)


def join(parts: Sequence[Progress], span: tuple[int, int]) -> Progress:
    """Several ragged batches that wait at the same nodes, as one; all their samples are in `span`."""

    def whole(name: str) -> Tensor | None:
        tensors = [getattr(part, name) for part in parts]
        return None if tensors[0] is None else torch.cat(tensors)

    pending = {name: Rows.joined([part.pending[name] for part in parts], span) for name in parts[0].pending}
    centre, one_sided = torch.cat([part.centre for part in parts]), parts[0].one_sided
    return Progress(pending, centre, whole("width"), whole("error"), one_sided=one_sided)


@dataclass(frozen=True)
class LinearBound:
    """A linear lower function ⟨coefficients, z⟩ + offset of the inputs: by name `[G, K, *shape]`, and `[G, K]`."""

    coefficients: dict[str, Tensor]
    offset: Tensor


def _sum(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    if first is None or second is None:
        return second if first is None else first
    return first + second


def advance(
    state: BoundState,
    progress: Progress,
    stop: Callable[[str, Progress], bool] = lambda name, progress: False,
    through: Callable[[str], bool] = lambda name: True,
    passed: dict[str, Rows] | None = None,
) -> Progress:
    """Pull pending rows back until only inputs are pending, or `stop` holds before the next node.

    through: the nodes that rows may pass. At other nodes they wait, while rows elsewhere go on.
    passed: takes in the rows of each node that they pass, from the last node to the first.
    """
    while True:
        waiting = [name for name in progress.pending if name in state.layers and through(name)]
        if not waiting:
            return progress
        # The last node in topological order has no reader left that could still send it rows.
        name = max(waiting, key=state.graph.positions.__getitem__)
        if stop(name, progress):
            return progress
        progress = _step(state, progress, name, passed)


def _step(state: BoundState, progress: Progress, name: str, passed: dict[str, Rows] | None) -> Progress:
    layer, node = state.layers[name], state.graph[name]
    pending = dict(progress.pending)
    # What is computed from the rows is freed with the copy, while a caller may hold the rows themselves.
    rows = pending.pop(name).changed()
    if rows.window is not None and (rows.outgrown or not layer.windowed):
        rows = rows.dense()
    if passed is not None:
        passed[name] = rows
    if state.ledger.counts:
        state.ledger.keep(_kept(state, rows, kept_by_layer(layer, rows.window is not None)))
    gained = Contribution(layer.gain(rows)) if progress.one_sided else layer.objective(rows)
    progress = progress.gain(gained)
    if state.options.rigorous:
        progress = progress.pay(state.debt(name), rows)
    for parent, pulled in zip(node.inputs, layer.pull(rows), strict=True):
        pending[parent] = pending[parent].plus(pulled) if parent in pending else pulled
    return Progress(pending, progress.centre, progress.width, progress.error, progress.owed, progress.one_sided)


def _kept(state: BoundState, rows: Rows, tensors: tuple[int, int]) -> int:
    """Bytes of tensors: `tensors[0]` as large as the rows, `tensors[1]` as large as their groups."""
    as_rows, as_groups = tensors
    groups = rows.base.shape[0] if rows.scale is None else rows.scale.shape[0]
    scalars = torch.Size(rows.extent).numel() * groups
    return scalars * (rows.count * as_rows + as_groups) * state.itemsize


@dataclass(frozen=True)
class Enclosure:
    """Bounds `[G, K]` of rows' values; `error`: the rounding error that both already allow for, if asked for.

    The upper bound of one-sided rows may be infinite.
    """

    lower: Tensor
    upper: Tensor
    error: Tensor | None = None


def concretise(state: BoundState, progress: Progress) -> Enclosure:
    """Bounds of pending rows: by the set's support function at the inputs, by intervals at other nodes."""
    lower = progress.centre
    upper = None if progress.one_sided else lower
    for name, rows in progress.pending.items():
        region, rows = state.regions.get(name), rows.crop()
        if state.ledger.counts:
            state.ledger.keep(_kept(state, rows, KEPT_BY_BOUND))
        ends: tuple[Tensor, Tensor | None]
        if region is None:
            ends = _within(state.interval(name), rows)
        else:
            ends = over_set(state, name, rows, one_sided=progress.one_sided)
        lower = lower + ends[0]
        upper = None if upper is None or ends[1] is None else upper + ends[1]
        if state.options.rigorous:
            progress = progress.pay(_debt_here(state, name), rows)
    width = _sum(progress.width, progress.error)
    if width is not None:
        lower, upper = lower - width, None if upper is None else upper + width
    # Values are finite, so a lower bound of infinity is overflow and not a bound.
    lower = lower.nan_to_num(torch.nan, torch.nan, -torch.inf)
    upper = torch.full_like(lower, torch.inf) if upper is None else upper.nan_to_num(torch.nan, torch.inf, torch.nan)
    return Enclosure(lower, upper, progress.error)


def _debt_here(state: BoundState, name: str) -> Debt:
    """What rounding costs where rows meet a node's interval, or the set."""
    size, here = state.graph[name].size, state.magnitude(name)
    magnitude = state.error_factor(size) * here
    if name in state.regions:
        magnitude = magnitude + state.subproblems.of_samples(state.regions[name].rounding())
    return Debt(magnitude, underflow(1, [here], size, like=here))


def over_set(state: BoundState, name: str, rows: Rows, *, one_sided: bool) -> tuple[Tensor, Tensor | None]:
    """Least and greatest value of rows over an input's set, and over the part of it that is given to a subproblem.

    The greatest value may be missing if `one_sided`.
    """
    region, part = state.regions[name], state.subproblems.given.get(name)
    if part is not None and region.independent:
        return _within(state.interval(name), rows)
    rows = rows if region.windowed else rows.dense()
    view = state.subproblems.seen_by_set(rows)
    if part is not None:
        joint = region.extremes_within(rows.values, view, state.interval(name).map(rows.features))
        if joint is not None:
            return joint
    if one_sided:
        lower, upper = region.least(rows.values, view), None
    else:
        lower, upper = region.extremes(rows.values, view)
    if state.ledger.counts:
        # Of each row and sample, also where all samples share the rows; and once for each sample what serves all rows.
        count = lower.numel() + lower.shape[0]
        state.ledger.keep(count * region.working_scalars(rows.base[0, 0].numel()) * state.itemsize)
    if part is None:
        return lower, upper
    if state.options.rigorous:
        # These are computed from the whole set's numbers, while what is charged later is relative to the part's.
        sizes = state.subproblems.of_samples(region.enclosure().magnitude)
        more = inner(rows, state.error_factor(state.graph[name].size) * sizes, absolute=True)
        lower, upper = lower - more, None if upper is None else upper + more
    least, greatest = _within(state.interval(name), rows)
    return lower.maximum(least), None if upper is None else upper.minimum(greatest)


def _within(interval: Interval, rows: Rows) -> tuple[Tensor, Tensor]:
    """Least and greatest value of rows over an interval."""
    value, spread = inner(rows, interval.centre), inner(rows, interval.radius, absolute=True)
    return value - spread, value + spread


def linear_bound(state: BoundState, progress: Progress) -> LinearBound:
    """The linear lower function of the inputs that pending rows describe; at other nodes intervals stand in for them.

    An input that no row has reached has zero coefficients. Rounding when the function is evaluated is not allowed for.
    """
    waiting = {name: rows for name, rows in progress.pending.items() if name not in state.regions}
    for name, rows in waiting.items():
        rows = rows.crop()
        progress = progress._replace(centre=progress.centre + _within(state.interval(name), rows)[0])
        if state.options.rigorous:
            progress = progress.pay(_debt_here(state, name), rows)
    paid = _sum(progress.width, progress.error)
    offset = progress.centre if paid is None else progress.centre - paid
    coefficients = {name: _coefficients(state, name, progress) for name in state.regions}
    return LinearBound(coefficients, offset)


def _coefficients(state: BoundState, name: str, progress: Progress) -> Tensor:
    """The rows `[G, K, *shape]` that wait at an input."""
    if name in progress.pending:
        return progress.pending[name].crop().dense().values
    return progress.centre.new_zeros(*progress.centre.shape, *state.graph[name].shape)
