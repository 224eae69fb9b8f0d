"""From formulas to cases: disjunctive normal form, then boxes of inputs apart from constraints of outputs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
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
from autodual.properties.tied_inputs import TiedInputs
from autodual.specs.decimals import NumberError, rounded

# Limits on the numbers in a property's boxes and matrices, and on the entries of its inputs and outputs.
_MOST_NUMBERS = 1 << 25
_MOST_ENTRIES = 1 << 22


class Built(NamedTuple):
    """The cases of a property.

    products: further outputs, behind all others, each the product of the variables with these columns. places: for each
    declared input, which of the cases' inputs it is. vacuous: how many clauses no input satisfies.
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

    Raises:
        DataError: an input is unbounded, or the property is too large.
        EmptySetError: no input satisfies any clause.
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
    vacuous, blocked = 0, None
    for clause in clauses:
        draft = base.narrowed(clause, names)
        if draft.conflict is not None:
            vacuous, blocked = vacuous + 1, blocked or draft.conflict
            continue
        base.require_bounded(draft, names)
        if draft.key not in drafts:
            room.take((3 + len(draft.relations)) * names.inputs)
            drafts[draft.key] = draft, []
        room.take((1 + len(draft.demands)) * names.outputs)
        drafts[draft.key][1].append(_rows(draft.demands, OUTPUTS, names.outputs))
    if not drafts:
        raise EmptySetError(f"no input satisfies the property's own constraints: {blocked or 'it has no cases'}")
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

    bounds: by column, the lower and upper bounds of inputs that it tightens. relations: other constraints of inputs.
    demands: constraints of outputs. conflict: why no input satisfies it, or None.
    """

    bounds: dict[int, tuple[float, float]]
    relations: tuple[Atom, ...]
    demands: tuple[Atom, ...]
    conflict: str | None

    @cached_property
    def key(self) -> tuple[object, ...]:
        """Drafts with the same key have the same constraints of inputs."""
        relations = [(*sorted(atom.coefficients.items()), atom.bound, atom.strict) for atom in self.relations]
        return tuple(sorted(self.bounds.items())), tuple(relations)


@dataclass(frozen=True, eq=False)
class _Base:
    """What all clauses share: the bounds of all inputs (infinite if there are none), and the rest as a draft."""

    lower: numpy.ndarray
    upper: numpy.ndarray
    rest: _Draft

    @classmethod
    def of(cls, atoms: Iterable[Atom], names: _Names) -> _Base:
        lower, upper = numpy.full(names.inputs, -numpy.inf), numpy.full(names.inputs, numpy.inf)
        common = cls(lower, upper, _Draft({}, (), (), None)).narrowed(atoms, names)
        for column, ends in common.bounds.items():
            lower[column], upper[column] = ends
        return cls(lower, upper, replace(common, bounds={}))

    @cached_property
    def unbounded(self) -> tuple[int, ...]:
        """Inputs without a finite lower and upper bound."""
        lacking = ~(numpy.isfinite(self.lower) & numpy.isfinite(self.upper))
        return tuple(int(column) for column in numpy.flatnonzero(lacking))

    def narrowed(self, atoms: Iterable[Atom], names: _Names) -> _Draft:
        """The draft of a clause: its atoms together with what all clauses share."""
        bounds: dict[int, tuple[float, float]] = {}
        relations, demands, conflict = list(self.rest.relations), list(self.rest.demands), self.rest.conflict
        for atom in atoms:
            columns = atom.coefficients
            if not columns:
                if atom.bound < 0 or (atom.strict and atom.bound == 0):
                    conflict = conflict or "a constraint between numbers is false"
                continue
            if min(columns) >= OUTPUTS:
                demands.append(atom)
                continue
            if len(columns) > 1 or atom.strict:
                # The closed box only adds points; a counterexample is checked not to be one of them.
                relations.append(atom)
            if len(columns) == 1:
                conflict = self._bound(bounds, atom, names) or conflict
        return _Draft(bounds, tuple(relations), tuple(demands), conflict)

    def _bound(self, bounds: dict[int, tuple[float, float]], atom: Atom, names: _Names) -> str | None:
        """Tighten the bounds of the atom's one input; returns why that is impossible, or None."""
        ((column, coefficient),) = atom.coefficients.items()
        low, high = old = bounds.get(column) or (float(self.lower[column]), float(self.upper[column]))
        end = _float(atom.bound / coefficient)
        low, high = (low, min(high, end)) if coefficient > 0 else (max(low, end), high)
        if (low, high) != old:
            bounds[column] = low, high
        if low > high:
            return f"{names[column]} would have to be at least {low:.9g} and at most {high:.9g}"
        return None

    def require_bounded(self, draft: _Draft, names: _Names) -> None:
        for column in self.unbounded:
            if not all(map(math.isfinite, draft.bounds.get(column, (math.inf,)))):
                raise DataError(
                    f"the input {names[column]} has no finite lower and upper bound; every input needs both, in every "
                    "case of the property."
                )

    def case(self, draft: _Draft, conjunctions: Sequence[Conjunction]) -> Case:
        lower, upper = self.lower, self.upper
        if draft.bounds:
            columns, ends = list(draft.bounds), numpy.array(list(draft.bounds.values()))
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
            matrix[row, column - first] = _float(value)
            total[column - first] = total.get(column - first, Fraction(0)) + value
    bound = numpy.array([_float(atom.bound) for atom in atoms], numpy.float64)
    strict = numpy.array([atom.strict for atom in atoms], bool)
    error = numpy.finfo(numpy.float64).eps * abs(bound)
    error[[Fraction(value) == atom.bound for value, atom in zip(bound, atoms)]] = 0.0
    return Conjunction(matrix, bound, strict, _sum(total, width), error)


def _sum(total: Mapping[int, Fraction], width: int) -> numpy.ndarray | None:
    """A sum of rows, by column, each number rounded once; None if float64 cannot hold one."""
    found = numpy.zeros(width)
    try:
        for column, value in total.items():
            found[column] = rounded(value)
    except NumberError:
        return None
    return found


def _float(value: Fraction) -> float:
    try:
        return rounded(value)
    except NumberError as error:
        raise DataError(
            f"a number of the property {error} for float64; rescale the network's inputs or outputs."
        ) from None
