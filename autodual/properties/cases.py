"""From formulas to cases: disjunctive normal form, then boxes of inputs and constraints of outputs set apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy

from autodual.errors import DataError, EmptySetError
from autodual.properties.formulas import And, Atom, Formula, Or
from autodual.properties.property import Case, Conjunction, Variable
from autodual.specs.decimals import NumberError, rounded

# Combinations of disjuncts beyond which normal form is no way to treat a file.
_MOST_CLAUSES = 200_000

Clause = tuple[Atom, ...]


def build_cases(
    inputs: Sequence[Variable], outputs: Sequence[Variable], formulas: Iterable[Formula], version: str
) -> tuple[tuple[Case, ...], int]:
    """The cases of the conjunction of all formulas, and how many clauses of its normal form no input satisfies.

    Raises:
        DataError: an input is unbounded, a constraint ties inputs to outputs, or there are too many combinations.
        EmptySetError: no clause has any input.
    """
    names = [*_entry_names(inputs, version), *_entry_names(outputs, version)]
    size = sum(variable.size for variable in inputs)
    common, clauses = _normal_form(formulas)
    base = _Draft.empty(size, len(names) - size).narrowed(common, names)
    drafts: dict[tuple[bytes, ...], tuple[_Draft, list[Conjunction]]] = {}
    vacuous, blocked = 0, None
    for clause in clauses:
        draft = base.narrowed(clause, names)
        if draft.conflict is not None:
            vacuous, blocked = vacuous + 1, blocked or draft.conflict
            continue
        draft.require_bounded(names)
        drafts.setdefault(draft.key, (draft, []))[1].append(draft.conjunction())
    if not drafts:
        raise EmptySetError(f"no input satisfies the property's own constraints: {blocked or 'it has no cases'}")
    return tuple(draft.case(conjunctions) for draft, conjunctions in drafts.values()), vacuous


def _entry_names(variables: Sequence[Variable], version: str) -> list[str]:
    if version == "1.0":
        return [f"{variable.name}_{place}" for variable in variables for place in range(variable.size)]
    return [
        f"{variable.name}[{','.join(map(str, index))}]"
        for variable in variables
        for index in numpy.ndindex(*variable.shape)
    ]


def _normal_form(formulas: Iterable[Formula]) -> tuple[list[Atom], list[Clause]]:
    """Atoms that always hold, and the clauses of which one must hold besides."""
    common: list[Atom] = []
    choices: list[Or] = []
    pending = list(formulas)[::-1]
    while pending:
        formula = pending.pop()
        if isinstance(formula, Atom):
            common.append(formula)
        elif isinstance(formula, And):
            pending.extend(reversed(formula.parts))
        else:
            choices.append(formula)
    return common, _product([_clauses(choice) for choice in choices])


def _clauses(formula: Formula) -> list[Clause]:
    if isinstance(formula, Atom):
        return [(formula,)]
    parts = [_clauses(part) for part in formula.parts]
    if isinstance(formula, Or):
        return [clause for part in parts for clause in part]
    return _product(parts)


def _product(factors: Iterable[list[Clause]]) -> list[Clause]:
    clauses: list[Clause] = [()]
    for factor in factors:
        if len(clauses) * len(factor) > _MOST_CLAUSES:
            raise DataError(
                f"the property's disjunctions combine to more than {_MOST_CLAUSES} cases; split it into several files."
            )
        clauses = [(*left, *right) for left in clauses for right in factor]
    return clauses


@dataclass(frozen=True, eq=False)
class _Draft:
    """A clause in the making: its box, further constraints of inputs, those of outputs, and why it is impossible."""

    lower: numpy.ndarray
    upper: numpy.ndarray
    relations: tuple[Atom, ...]
    demands: tuple[Atom, ...]
    outputs: int
    conflict: str | None

    @classmethod
    def empty(cls, size: int, outputs: int) -> _Draft:
        return cls(numpy.full(size, -numpy.inf), numpy.full(size, numpy.inf), (), (), outputs, None)

    def narrowed(self, atoms: Iterable[Atom], names: Sequence[str]) -> _Draft:
        """This one with more atoms; arrays are shared where no atom bounds a single input."""
        lower, upper, owned = self.lower, self.upper, False
        relations, demands, conflict = list(self.relations), list(self.demands), self.conflict
        size = len(lower)
        for atom in atoms:
            columns = list(atom.coefficients)
            if not columns:
                if atom.bound < 0 or (atom.strict and atom.bound == 0):
                    conflict = conflict or "a constraint between numbers is false"
                continue
            if min(columns) >= size:
                demands.append(atom)
                continue
            if max(columns) >= size:
                involved = " and ".join(sorted({names[column] for column in (min(columns), max(columns))}))
                raise DataError(
                    f"a constraint ties {involved} together; inputs and outputs can only be constrained apart."
                )
            if len(columns) > 1 or atom.strict:
                # The box is closed, which only adds points; whether a counterexample is one of them is checked.
                relations.append(atom)
            if len(columns) == 1:
                if not owned:
                    lower, upper, owned = lower.copy(), upper.copy(), True
                _tighten(lower, upper, columns[0], atom)
        if conflict is None and owned and (lower > upper).any():
            place = int((lower > upper).argmax())
            conflict = f"{names[place]} would have to be at least {lower[place]:.9g} and at most {upper[place]:.9g}"
        return _Draft(lower, upper, tuple(relations), tuple(demands), self.outputs, conflict)

    def require_bounded(self, names: Sequence[str]) -> None:
        unbounded = ~(numpy.isfinite(self.lower) & numpy.isfinite(self.upper))
        if unbounded.any():
            raise DataError(
                f"the input {names[int(unbounded.argmax())]} has no finite lower and upper bound; every input needs "
                "both, in every case of the property."
            )

    @property
    def key(self) -> tuple[bytes, ...]:
        """Drafts with the same key constrain inputs alike."""
        relation = repr([(sorted(atom.coefficients.items()), atom.bound, atom.strict) for atom in self.relations])
        return self.lower.tobytes(), self.upper.tobytes(), relation.encode() if self.relations else b""

    def conjunction(self) -> Conjunction:
        return _rows(self.demands, len(self.lower), self.outputs)

    def case(self, conjunctions: Sequence[Conjunction]) -> Case:
        relation = _rows(self.relations, 0, len(self.lower)) if self.relations else None
        return Case(self.lower, self.upper, tuple(conjunctions), relation)


def _tighten(lower: numpy.ndarray, upper: numpy.ndarray, column: int, atom: Atom) -> None:
    coefficient = atom.coefficients[column]
    end = _float(atom.bound / coefficient)
    if coefficient > 0:
        upper[column] = min(upper[column], end)
    else:
        lower[column] = max(lower[column], end)


def _rows(atoms: Sequence[Atom], first: int, width: int) -> Conjunction:
    """Atoms over the columns first, …, first + width - 1 as a matrix."""
    matrix, total = numpy.zeros((len(atoms), width)), [Fraction(0)] * width
    for row, atom in enumerate(atoms):
        for column, value in atom.coefficients.items():
            matrix[row, column - first] = _float(value)
            total[column - first] += value
    bound = numpy.array([_float(atom.bound) for atom in atoms], numpy.float64)
    strict = numpy.array([atom.strict for atom in atoms], bool)
    return Conjunction(matrix, bound, strict, _sum(total))


def _sum(total: Sequence[Fraction]) -> numpy.ndarray | None:
    """A sum of rows, each number rounded once; None where float64 cannot hold one."""
    try:
        return numpy.array([rounded(value) for value in total])
    except NumberError:
        return None


def _float(value: Fraction) -> float:
    try:
        return rounded(value)
    except NumberError as error:
        raise DataError(
            f"a number of the property {error} for float64; rescale the network's inputs or outputs."
        ) from None
