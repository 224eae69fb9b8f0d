"""A property's open cases as tensors: boxes of inputs, and the half-spaces of which every violation breaks one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy
import torch
from torch import Tensor

from autodual.certification.verdicts.input_constraints import InputConstraints, placed
from autodual.certification.verdicts.number_readings import float32_ends, lower_reading, upper_reading
from autodual.perturbations import Region
from autodual.properties import Case, Conjunction, Property
from autodual.specs import Rows, Specification
from autodual.specs.base import guarded, with_ties

#: Which conjunctions of which cases are still undecided.
Open = Mapping[int, Sequence[int]]


@dataclass(frozen=True, eq=False)
class Unviolated(Specification):
    """No conjunction of matrix · f <= offset is true of the outputs, where `member` says which rows each one has.

    matrix `[N, R, K]`, offset `[N, R]`, both float64, and member bool `[N, Q, R]` hold something for each sample.
    strict bool `[N, R]`: where a row says < instead, which is false also where both sides are equal. offset_error
    `[N, R]`: how far an offset may be from the property's, float64.
    """

    matrix: Tensor
    offset: Tensor
    member: Tensor
    strict: Tensor
    offset_error: Tensor

    def rows(self, outputs: Tensor) -> Rows:
        offset = self.offset.to(outputs)
        rounded = torch.where(offset.double() == self.offset, 0.0, torch.finfo(offset.dtype).eps * offset.abs())
        return Rows(self.matrix.to(outputs), offset, (rounded + self.offset_error).to(offset))

    def margin(self, values: Tensor) -> Tensor:
        return guarded(self.margins(values).min(-1).values, values)

    def margins(self, values: Tensor) -> Tensor:
        """`[*, N, Q]` for values `[*, N, R]`: positive only if that conjunction is false; a NaN spoils its own."""
        spread = torch.where(self.member, with_ties(values, self.strict).unsqueeze(-2), -torch.inf)
        return spread.max(-1).values

    @property
    def disjunctions(self) -> list[tuple[int, ...]] | None:
        """Those of a single sample."""
        if len(self.member) != 1:
            return None
        return sorted({tuple(rows.nonzero().squeeze(1).tolist()) for rows in self.member[0]})

    def select(self, index: Tensor | slice) -> Unviolated:
        parts = {name: getattr(self, name)[index] for name in ("matrix", "offset", "member", "strict", "offset_error")}
        return replace(self, **parts)

    def describe(self) -> str:
        return f"none of at most {self.member.shape[1]} conjunction(s) of outputs is true"

    def settings(self) -> dict[str, Any]:
        return {"specification": "unviolated", "conjunctions": self.member.shape[1]}


@dataclass(frozen=True, eq=False)
class Problem:
    """N cases with some of their conjunctions; padding repeats what is there and changes no outcome.

    Numbers of the file may be read as they stand or rounded to float32, as VNN-LIB 2.0 has it for networks of that
    type; the boxes hold both readings' inputs and the offsets are the larger ones, so that proofs are of both.

    cases: their numbers in the property. conjunctions: for each, the numbers of its open conjunctions. lower, upper:
    float64 `[N, *shape]`, clipped by the constraints. least, greatest: the float32 numbers of the box that attacks use.
    constraints: between inputs, if there are any. empty: cases without any point, bool `[N]`.
    """

    cases: tuple[int, ...]
    conjunctions: tuple[tuple[int, ...], ...]
    lower: Tensor
    upper: Tensor
    least: Tensor
    greatest: Tensor
    spec: Unviolated
    constraints: InputConstraints | None
    empty: Tensor

    @classmethod
    def of(
        cls, goal: Property, open_: Open, shape: Sequence[int], device: torch.device, *, sums: bool = False
    ) -> Problem:
        """The open conjunctions of a property; `sums`: conjunctions also have the sum of their rows as a row.

        Rows that hold together add up to one that holds, so a bound that refutes the sum refutes the conjunction.
        """
        cases = tuple(sorted(open_))
        chosen = tuple(tuple(open_[case]) for case in cases)
        tables = [_table(goal.cases[case], numbers, sums) for case, numbers in zip(cases, chosen)]
        rows = max(1, max(len(table.offset) for table in tables))
        widest = max(len(table.members) for table in tables)
        matrix = numpy.zeros((len(cases), rows, goal.output_size))
        offset, error = numpy.zeros((2, len(cases), rows))
        strict = numpy.zeros((len(cases), rows), bool)
        member = numpy.zeros((len(cases), widest, rows), bool)
        for place, table in enumerate(tables):
            here = slice(0, len(table.offset))
            matrix[place, here], offset[place, here], error[place, here] = table.matrix, table.offset, table.error
            strict[place, here] = table.strict
            for number in range(widest):
                member[place, number, table.members[number if number < len(table.members) else 0]] = True
        spec = Unviolated(*(torch.from_numpy(array).to(device) for array in (matrix, offset, member, strict, error)))
        every = [goal.cases[case] for case in cases]
        return cls._around(cases, chosen, every, shape, spec)

    @classmethod
    def _around(
        cls,
        numbers: tuple[int, ...],
        chosen: tuple[tuple[int, ...], ...],
        cases: Sequence[Case],
        shape: Sequence[int],
        spec: Unviolated,
    ) -> Problem:
        """The problem with a specification: the boxes of cases, clipped by their constraints."""
        device = spec.offset.device
        ends = (numpy.stack([getattr(case, end) for case in cases]) for end in ("lower", "upper"))
        lower, upper = (end.reshape(-1, *shape) for end in ends)
        boxes = [torch.from_numpy(end).to(device) for end in (lower_reading(lower), upper_reading(upper))]
        points = [torch.from_numpy(end.reshape(-1, *shape)).to(device) for end in float32_ends(cases)]
        constraints, empty = InputConstraints.of(cases, shape, device), spec.strict.new_zeros(len(cases))
        if constraints is not None:
            *boxes, empty = constraints.clipped(*boxes)
        return cls(numbers, chosen, boxes[0], boxes[1], points[0], points[1], spec, constraints, empty)

    @property
    def middle(self) -> Tensor:
        """The middles `[N, *shape]` of the boxes, float64."""
        return self.lower + (self.upper - self.lower) / 2

    def proof_region(self, dtype: torch.dtype) -> Region:
        """The sets that proofs are about, around the boxes' middles."""
        return placed(self.lower, self.upper, self.constraints, self.middle.to(dtype))

    def attack_region(self, points: Tensor | None = None) -> Region:
        """The float32 points that attacks search, around `points` `[N, *shape]`, by default the boxes' middles."""
        constraints = self.constraints
        if points is None:
            points = (self.least + (self.greatest - self.least) / 2).clamp(self.least, self.greatest)
        if constraints is not None:
            constraints = constraints.inside(self.least.double(), self.greatest.double())
        return placed(self.least, self.greatest, constraints, points)

    @property
    def inhabited(self) -> Problem:
        """The cases that are not known to be empty."""
        return self.select((~self.empty).nonzero().squeeze(1).tolist())

    def select(self, index: Sequence[int]) -> Problem:
        """Some of the cases."""
        place = torch.tensor(index, dtype=torch.long, device=self.lower.device)
        cases = tuple(self.cases[number] for number in index)
        conjunctions = tuple(self.conjunctions[number] for number in index)
        chosen = {name: getattr(self, name)[place] for name in ("lower", "upper", "least", "greatest", "empty")}
        constraints = None if self.constraints is None else self.constraints.select(place)
        return Problem(cases, conjunctions, spec=self.spec.select(place), constraints=constraints, **chosen)

    def nth(self, number: int) -> Problem:
        """The conjunction at one place of every case alone."""
        member = self.spec.member[:, number : number + 1]
        return replace(self, spec=replace(self.spec, member=member))

    def remaining(self, refuted: Tensor) -> dict[int, tuple[int, ...]]:
        """What stays open when the conjunctions `refuted` `[N, Q]` are false throughout their boxes."""
        left: dict[int, tuple[int, ...]] = {}
        for case, numbers, flags in zip(self.cases, self.conjunctions, refuted.tolist()):
            kept = tuple(number for number, flag in zip(numbers, flags) if not flag)
            if kept:
                left[case] = kept
        return left


def _sum_above(bounds: numpy.ndarray, errors: numpy.ndarray) -> float:
    """The sum of bounds that may be off, and no less: what they are off by need not cancel where they do."""
    return math.fsum(bounds) + math.fsum(errors)


@dataclass(frozen=True, eq=False)
class _Table:
    """The distinct rows of some conjunctions, what `Unviolated` has of each, and which rows each conjunction has."""

    matrix: numpy.ndarray
    offset: numpy.ndarray
    error: numpy.ndarray
    strict: numpy.ndarray
    members: list[list[int]]


def _table(case: Case, numbers: Sequence[int], sums: bool) -> _Table:
    places: dict[bytes, int] = {}
    rows: list[numpy.ndarray] = []
    members = []
    for number in numbers:
        conjunction = case.conjunctions[number]
        bounds, errors = upper_reading(conjunction.bound), _bound_errors(conjunction)
        own = list(numpy.column_stack([conjunction.matrix, bounds, errors, conjunction.strict]))
        if sums and len(own) > 1 and conjunction.total is not None:
            # Summed exactly and rounded once: errors of partial sums would be relative to parts that may cancel.
            whole = _sum_above(bounds, errors)
            ends = [whole, numpy.finfo(numpy.float64).eps * abs(whole), float(conjunction.strict.any())]
            own.append(numpy.append(conjunction.total, ends))
        for row in own:
            if row.tobytes() not in places:
                places[row.tobytes()] = len(rows)
                rows.append(row)
        members.append(sorted({places[row.tobytes()] for row in own}))
    table = numpy.array(rows).reshape(len(rows), case.conjunctions[0].matrix.shape[1] + 3)
    return _Table(table[:, :-3], table[:, -3], table[:, -2], table[:, -1] != 0, members)


def _bound_errors(conjunction: Conjunction) -> numpy.ndarray:
    if conjunction.bound_error is not None:
        return conjunction.bound_error
    return numpy.finfo(numpy.float64).eps * abs(conjunction.bound)
