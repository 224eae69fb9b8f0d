"""Disjunctive normal form of formulas that share parts, without recursion and within limits on its size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import prod
from typing import TypeAlias

from autodual.errors import DataError
from autodual.properties.formulas import And, Atom, Formula, Not, Or

# Limits on the combinations of disjuncts, and on the constraints in all of them.
_MOST_CLAUSES = 200_000
_MOST_ATOMS = 4_000_000

Clause: TypeAlias = tuple[Atom, ...]
#: A formula, and whether it is negated.
_Signed: TypeAlias = tuple[Formula, bool]


def normal_form(formulas: Iterable[Formula]) -> tuple[list[Atom], list[Clause]]:
    """The atoms that must hold, and the clauses of which at least one must hold too.

    Raises:
        DataError: there are too many combinations.
    """
    return _NormalForm().of(formulas)


class _NormalForm:
    """One run; results are kept by formula, so that shared parts are treated once."""

    def __init__(self) -> None:
        self._atoms: dict[tuple[int, bool], Atom] = {}
        self._clauses: dict[tuple[int, bool], list[Clause]] = {}
        self._made = 0

    def of(self, formulas: Iterable[Formula]) -> tuple[list[Atom], list[Clause]]:
        common: list[Atom] = []
        choices: list[list[Clause]] = []
        for part in self._members([(formula, False) for formula in formulas], Or):
            if isinstance(part[0], Atom):
                common.append(self._atom(part))
            else:
                choices.append(self._alternatives(part))
        return common, self._product(choices)

    def _atom(self, signed: _Signed) -> Atom:
        atom, negated = signed
        assert isinstance(atom, Atom)
        if not negated:
            return atom
        key = (id(atom), True)
        if key not in self._atoms:
            self._atoms[key] = atom.negated
        return self._atoms[key]

    def _members(self, pending: Sequence[_Signed], other: type[And] | type[Or]) -> Iterator[_Signed]:
        """The parts of nested conjunctions (or disjunctions), flattened: atoms, and formulas of the `other` kind.

        Each once, in order, since F and F is F.
        """
        stack = list(reversed(pending))
        seen = set()
        while stack:
            formula, negated = stack.pop()
            while isinstance(formula, Not):
                formula, negated = formula.part, not negated
            if (id(formula), negated) in seen:
                continue
            seen.add((id(formula), negated))
            if isinstance(formula, Atom) or _kind(formula, negated) is other:
                yield formula, negated
            else:
                stack.extend((part, negated) for part in reversed(formula.parts))

    def _alternatives(self, wanted: _Signed) -> list[Clause]:
        """The clauses of a formula, of which at least one must hold."""
        stack = [wanted]
        while stack:
            signed = stack[-1]
            formula, negated = signed
            key = (id(formula), negated)
            if key in self._clauses:
                stack.pop()
            elif isinstance(formula, Atom):
                self._clauses[key] = [(self._atom(signed),)]
            else:
                assert not isinstance(formula, Not)
                other = And if _kind(formula, negated) is Or else Or
                members = list(self._members([signed], other))
                missing = [part for part in members if (id(part[0]), part[1]) not in self._clauses]
                stack.extend(missing)
                if not missing:
                    parts = [self._clauses[id(part), sign] for part, sign in members]
                    self._clauses[key] = self._sum(parts) if other is And else self._product(parts)
        return self._clauses[id(wanted[0]), wanted[1]]

    def _sum(self, parts: Sequence[list[Clause]]) -> list[Clause]:
        self._reserve(sum(map(len, parts)), sum(len(clause) for part in parts for clause in part))
        return [clause for part in parts for clause in part]

    def _product(self, factors: Sequence[list[Clause]]) -> list[Clause]:
        clauses: list[Clause] = [()]
        # Check the number of combinations before any is made; their order is that of nested loops.
        self._reserve(prod(map(len, factors)), 0)
        for factor in factors:
            sizes = [sum(map(len, part)) for part in (clauses, factor)]
            self._reserve(len(clauses) * len(factor), sizes[0] * len(factor) + sizes[1] * len(clauses))
            clauses = [tuple(dict.fromkeys((*left, *right))) for left in clauses for right in factor]
        return clauses

    def _reserve(self, clauses: int, atoms: int) -> None:
        """Refuse a result that would be too large, before it is made."""
        self._made += atoms
        if clauses > _MOST_CLAUSES or self._made > _MOST_ATOMS:
            raise DataError(
                f"the property's disjunctions combine to more than {_MOST_CLAUSES} cases or {_MOST_ATOMS} constraints; "
                "split it into several files."
            )


def _kind(formula: And | Or, negated: bool) -> type[And] | type[Or]:
    """The kind of the formula or of its negation: a negated conjunction is a disjunction."""
    return Or if isinstance(formula, Or) is not negated else And
