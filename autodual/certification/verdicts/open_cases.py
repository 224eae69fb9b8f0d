"""A property's open cases as tensors: boxes of inputs, and the half-spaces of which every violation breaks one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy
import torch
from torch import Tensor

from autodual.properties import Case, Property
from autodual.specs import Rows, Specification
from autodual.specs.base import guarded, with_ties

#: Which conjunctions of which cases are still undecided.
Open = Mapping[int, Sequence[int]]


@dataclass(frozen=True, eq=False)
class Unviolated(Specification):
    """No conjunction of matrix · f <= offset is true of the outputs, where `member` says which rows each one has.

    matrix `[N, R, K]`, offset `[N, R]`, both float64, and member bool `[N, Q, R]` hold something for each sample.
    strict bool `[N, R]`: where a row says < instead, which is false also where both sides are equal.
    """

    matrix: Tensor
    offset: Tensor
    member: Tensor
    strict: Tensor

    def rows(self, outputs: Tensor) -> Rows:
        offset = self.offset.to(outputs)
        return Rows(self.matrix.to(outputs), offset, torch.finfo(offset.dtype).eps * offset.abs())

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
        parts = {name: getattr(self, name)[index] for name in ("matrix", "offset", "member", "strict")}
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
    float64 `[N, *shape]`.
    """

    cases: tuple[int, ...]
    conjunctions: tuple[tuple[int, ...], ...]
    lower: Tensor
    upper: Tensor
    least: Tensor
    greatest: Tensor
    spec: Unviolated

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
        rows = max(1, max(len(offset) for _, offset, _, _ in tables))
        widest = max(len(members) for _, _, _, members in tables)
        matrix = numpy.zeros((len(cases), rows, goal.output_size))
        offset, strict = numpy.zeros((len(cases), rows)), numpy.zeros((len(cases), rows), bool)
        member = numpy.zeros((len(cases), widest, rows), bool)
        for place, (table, bounds, below, members) in enumerate(tables):
            here = slice(0, len(bounds))
            matrix[place, here], offset[place, here], strict[place, here] = table, bounds, below
            for number in range(widest):
                member[place, number, members[number if number < len(members) else 0]] = True
        lower, upper = (
            numpy.stack([getattr(goal.cases[case], end) for case in cases]).reshape(-1, *shape)
            for end in ("lower", "upper")
        )
        ends = (_lower_reading(lower), _upper_reading(upper), *_float32_ends(lower, upper))
        boxes = [torch.from_numpy(end).to(device) for end in ends]
        spec = Unviolated(*(torch.from_numpy(array).to(device) for array in (matrix, offset, member, strict)))
        return cls(cases, chosen, boxes[0], boxes[1], boxes[2], boxes[3], spec)

    def select(self, index: Sequence[int]) -> Problem:
        """Some of the cases."""
        place = torch.tensor(index, dtype=torch.long, device=self.lower.device)
        cases = tuple(self.cases[number] for number in index)
        conjunctions = tuple(self.conjunctions[number] for number in index)
        boxes = {name: getattr(self, name)[place] for name in ("lower", "upper", "least", "greatest")}
        return Problem(cases, conjunctions, spec=self.spec.select(place), **boxes)

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


def _lower_reading(values: numpy.ndarray) -> numpy.ndarray:
    """The lower of a number and what float32 rounds it to."""
    with numpy.errstate(over="ignore"):
        return numpy.minimum(values, values.astype(numpy.float32).astype(numpy.float64))


def _upper_reading(values: numpy.ndarray) -> numpy.ndarray:
    return -_lower_reading(-values)


def _float32_ends(lower: numpy.ndarray, upper: numpy.ndarray) -> tuple[numpy.ndarray, numpy.ndarray]:
    """The least and the greatest float32 number of each interval, or twice the nearest where there is none."""
    infinity = numpy.float32(numpy.inf)
    low, high = lower.astype(numpy.float32), upper.astype(numpy.float32)
    least = numpy.where(low < lower, numpy.nextafter(low, infinity), low)
    greatest = numpy.where(high > upper, numpy.nextafter(high, -infinity), high)
    none = least > greatest
    return numpy.where(none, low, least), numpy.where(none, low, greatest)


def _sum_above(bounds: numpy.ndarray) -> float:
    """The sum of bounds that were rounded each, and no less: what they are off by need not cancel where they do."""
    return math.fsum(bounds) + math.fsum(numpy.finfo(numpy.float64).eps * numpy.abs(bounds))


def _table(
    case: Case, numbers: Sequence[int], sums: bool
) -> tuple[numpy.ndarray, numpy.ndarray, numpy.ndarray, list[list[int]]]:
    """The distinct rows of some conjunctions, their bounds, which are strict, and which rows each conjunction has."""
    places: dict[bytes, int] = {}
    rows: list[numpy.ndarray] = []
    members = []
    for number in numbers:
        conjunction = case.conjunctions[number]
        bounds = _upper_reading(conjunction.bound)
        own = [numpy.append(row, end) for row, end in zip(conjunction.matrix, zip(bounds, conjunction.strict))]
        if sums and len(own) > 1 and conjunction.total is not None:
            # Summed exactly and rounded once: errors of partial sums would be relative to parts that may cancel.
            own.append(numpy.append(conjunction.total, [_sum_above(bounds), float(conjunction.strict.any())]))
        for row in own:
            if row.tobytes() not in places:
                places[row.tobytes()] = len(rows)
                rows.append(row)
        members.append(sorted({places[row.tobytes()] for row in own}))
    table = numpy.array(rows).reshape(len(rows), case.conjunctions[0].matrix.shape[1] + 2)
    return table[:, :-2], table[:, -2], table[:, -1] != 0, members
