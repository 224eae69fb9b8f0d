"""From formulas to cases: disjunctive normal form, then boxes of inputs apart from constraints of outputs."""

from __future__ import annotations

import math
from collections import ChainMap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import NamedTuple

import numpy

from autodual.errors import DataError, EmptySetError
from autodual.properties.formulas import Atom, Formula
from autodual.properties.monomials import OUTPUTS
from autodual.properties.normal_form import normal_form
from autodual.properties.product_outputs import ProductOutputs
from autodual.properties.property import Case, Conjunction, Variable
from autodual.properties.ranges import Range, excludes, float64
from autodual.properties.tied_inputs import TiedInputs
from autodual.specs.decimals import NumberError, rounded

# Limits on the numbers in a property's boxes and matrices, and on the entries of its inputs and outputs.
_MOST_NUMBERS = 1 << 25
_MOST_ENTRIES = 1 << 22


class Built(NamedTuple):
    """The cases of a property.

    products: further outputs, behind all others, each the product of the variables with these columns. places: for each
    declared input, which of the cases' inputs it is. vacuous: how many clauses are left out, since nothing satisfies
    them.
    """

    cases: tuple[Case, ...]
    products: tuple[tuple[int, ...], ...]
    places: tuple[int, ...]
    vacuous: int


def build_cases(
    inputs: Sequence[Variable],
    outputs: Sequence[Variable],
    formulas: Iterable[Formula],
    version: str,
    *,
    tied: bool = False,
) -> Built:
    """The cases of the conjunction of all formulas; `tied`: inputs that it says are equal are one input of them.

    Where inputs are possible and all clauses are false whatever they are, there is one case, with a
    conjunction that no outputs meet.

    Raises:
        DataError: an input is unbounded, or the property is too large.
        EmptySetError: no input satisfies the constraints of inputs of any clause.
    """
    _require_few(_size(inputs) + _size(outputs))
    room = _Room()
    common, clauses = normal_form(formulas)
    ties = TiedInputs(_size(inputs), common if tied else ())
    common, clauses = ties.replaced(common, clauses)
    products = ProductOutputs(_size(outputs))
    common, clauses = products.replaced(common, clauses)
    names = _Names(inputs, outputs, version, ties, len(products.found))
    base = _Base.of(common, names)
    drafts: dict[tuple[object, ...], tuple[_Draft, list[Conjunction]]] = {}
    vacuous, blocked, impossible = 0, base.rest.conflict, not clauses
    for clause in clauses:
        draft = base.narrowed(clause, names)
        if draft.conflict is not None or draft.impossible:
            vacuous, blocked = vacuous + 1, blocked or draft.conflict
            impossible |= draft.conflict is None
            continue
        base.require_bounded(draft, names)
        if draft.key not in drafts:
            room.take((3 + len(draft.relations)) * names.inputs)
            drafts[draft.key] = draft, []
        room.take((1 + len(draft.demands)) * names.outputs)
        drafts[draft.key][1].append(_rows(draft.demands, OUTPUTS, names.outputs))
    if not drafts and impossible and base.rest.conflict is None:
        base.require_bounded(base.rest, names)
        drafts[()] = base.rest, [_never(names.outputs)]
    if not drafts:
        raise EmptySetError(f"no input satisfies the property's own constraints: {blocked}")
    cases = tuple(base.case(draft, conjunctions) for draft, conjunctions in drafts.values())
    return Built(cases, products.found, ties.places, vacuous)


def _require_few(count: int) -> None:
    if count > _MOST_ENTRIES:
        raise DataError(f"the property declares {count} inputs and outputs; at most {_MOST_ENTRIES} can be verified.")


def _size(variables: Iterable[Variable]) -> int:
    return sum(variable.size for variable in variables)


class _Room:
    """Counts the numbers in the boxes and matrices of a property, and refuses too many."""

    def __init__(self) -> None:
        self._left = _MOST_NUMBERS

    def take(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise DataError(
                "the property's cases and constraints would fill matrices of more than "
                f"{_MOST_NUMBERS} numbers; split it into several files."
            )


class _Names:
    """The numbers of inputs and outputs, and the name of each column for messages."""

    def __init__(
        self,
        inputs: Sequence[Variable],
        outputs: Sequence[Variable],
        version: str,
        ties: TiedInputs,
        products: int,
    ):
        self._variables = [*((0, variable) for variable in inputs), *((OUTPUTS, variable) for variable in outputs)]
        self._version = version
        self._leaders = ties.leaders
        self.inputs, self.outputs = len(ties.leaders), _size(outputs)
        self.outputs += products

    def __getitem__(self, column: int) -> str:
        start = OUTPUTS if column >= OUTPUTS else 0
        place = column - start if start else self._leaders[column]
        for first, variable in self._variables:
            if first == start and place < variable.size:
                break
            place -= variable.size if first == start else 0
        if self._version == "1.0":
            return f"{variable.name}_{place}"
        return f"{variable.name}[{','.join(map(str, numpy.unravel_index(place, variable.shape)))}]"


@dataclass(frozen=True, eq=False)
class _Draft:
    """A clause, sorted; `_Base` holds what all clauses share.

    ranges: the ranges of inputs that it tightens, by column. relations: other constraints of inputs. demands:
    constraints of outputs. conflict: why no input satisfies it, or None. impossible: nothing does, whatever the inputs.
    """

    ranges: dict[int, Range]
    relations: tuple[Atom, ...]
    demands: tuple[Atom, ...]
    conflict: str | None
    impossible: bool

    @cached_property
    def key(self) -> tuple[object, ...]:
        """Drafts with the same key have the same constraints of inputs."""
        relations = [(*sorted(atom.coefficients.items()), atom.bound, atom.strict) for atom in self.relations]
        bounds = ((column, range_.ends) for column, range_ in sorted(self.ranges.items()))
        return tuple(bounds), tuple(relations)


@dataclass(frozen=True, eq=False)
class _Base:
    """What all clauses share, as a draft; its ranges' ends `[D]` as numbers, infinite where there are none."""

    lower: numpy.ndarray
    upper: numpy.ndarray
    rest: _Draft

    @classmethod
    def of(cls, atoms: Iterable[Atom], names: _Names) -> _Base:
        lower, upper = numpy.full(names.inputs, -numpy.inf), numpy.full(names.inputs, numpy.inf)
        rest = cls(lower, upper, _Draft({}, (), (), None, False)).narrowed(atoms, names)
        for column, range_ in rest.ranges.items():
            lower[column], upper[column] = range_.ends
        return cls(lower, upper, rest)

    @cached_property
    def unbounded(self) -> tuple[int, ...]:
        """Inputs without a finite lower and upper bound."""
        lacking = ~(numpy.isfinite(self.lower) & numpy.isfinite(self.upper))
        return tuple(int(column) for column in numpy.flatnonzero(lacking))

    def narrowed(self, atoms: Iterable[Atom], names: _Names) -> _Draft:
        """The draft of a clause: its atoms together with what all clauses share."""
        ranges: dict[int, Range] = {}
        rest = self.rest
        relations, demands, impossible = list(rest.relations), list(rest.demands), rest.impossible
        for atom in atoms:
            columns = atom.coefficients
            if not columns:
                impossible |= atom.bound < 0 or (atom.strict and atom.bound == 0)
                continue
            if min(columns) >= OUTPUTS:
                demands.append(atom)
                continue
            if len(columns) > 1 or atom.strict:
                # The closed box only adds points; a counterexample is checked not to be one of them.
                relations.append(atom)
            if len(columns) == 1:
                ((column, _),) = columns.items()
                ranges[column] = (ranges.get(column) or rest.ranges.get(column) or Range()).narrowed(atom)
        conflict = rest.conflict or next(
            (f"{names[column]} would have to be {range_}" for column, range_ in ranges.items() if range_.empty), None
        )
        if conflict is None and any(
            atom.strict and len(atom.coefficients) > 1 and excludes(atom, ChainMap(ranges, rest.ranges))
            for atom in relations
        ):
            conflict = "a strict constraint between inputs holds nowhere in their ranges"
        return _Draft(ranges, tuple(relations), tuple(demands), conflict, impossible)

    def require_bounded(self, draft: _Draft, names: _Names) -> None:
        for column in self.unbounded:
            if not all(map(math.isfinite, draft.ranges.get(column, Range()).ends)):
                raise DataError(
                    f"the input {names[column]} has no finite lower and upper bound; every input needs both, in every "
                    "case of the property."
                )

    def case(self, draft: _Draft, conjunctions: Sequence[Conjunction]) -> Case:
        lower, upper = self.lower, self.upper
        if draft is not self.rest and draft.ranges:
            columns, ends = list(draft.ranges), numpy.array([range_.ends for range_ in draft.ranges.values()])
            lower, upper = lower.copy(), upper.copy()
            lower[columns], upper[columns] = ends[:, 0], ends[:, 1]
        relation = _rows(draft.relations, 0, len(lower)) if draft.relations else None
        return Case(lower, upper, tuple(conjunctions), relation)


def _rows(atoms: Sequence[Atom], first: int, width: int) -> Conjunction:
    """Atoms over the columns first to first + width - 1, as a matrix."""
    matrix = numpy.zeros((len(atoms), width))
    total: dict[int, Fraction] = {}
    for row, atom in enumerate(atoms):
        for column, value in atom.coefficients.items():
            matrix[row, column - first] = float64(value)
            total[column - first] = total.get(column - first, Fraction(0)) + value
    bound = numpy.array([float64(atom.bound) for atom in atoms], numpy.float64)
    strict = numpy.array([atom.strict for atom in atoms], bool)
    error = numpy.finfo(numpy.float64).eps * abs(bound)
    error[[Fraction(value) == atom.bound for value, atom in zip(bound, atoms)]] = 0.0
    return Conjunction(matrix, bound, strict, _sum(total, width), error)


def _never(width: int) -> Conjunction:
    """0 <= -1, whatever the outputs are."""
    return _rows([Atom({}, Fraction(-1), False)], OUTPUTS, width)


def _sum(total: Mapping[int, Fraction], width: int) -> numpy.ndarray | None:
    """A sum of rows, by column, each number rounded once; None if float64 cannot hold one."""
    found = numpy.zeros(width)
    try:
        for column, value in total.items():
            found[column] = rounded(value)
    except NumberError:
        return None
    return found
