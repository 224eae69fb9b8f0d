"""Inputs that a property says are equal, such as those of two networks that are compared at one point.

A box around each would lose the tie, and no search would meet it. So equal inputs are one input of the network that is
verified.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction

from autodual.properties.formulas import Atom
from autodual.properties.monomials import OUTPUTS, PRODUCTS, factors, product
from autodual.properties.normal_form import Clause


class TiedInputs:
    """Groups `count` inputs into those that are equal wherever all of some constraints hold."""

    def __init__(self, count: int, common: Iterable[Atom]) -> None:
        leader = list(range(count))

        def find(column: int) -> int:
            while leader[column] != column:
                leader[column] = leader[leader[column]]
                column = leader[column]
            return column

        above = {pair for atom in common if (pair := _not_above(atom)) is not None}
        for left, right in sorted(above):
            if (right, left) in above:
                first, second = sorted((find(left), find(right)))
                leader[second] = first
        leaders = [find(column) for column in range(count)]
        places: dict[int, int] = {}
        self.places = tuple(places.setdefault(column, len(places)) for column in leaders)
        self.leaders = tuple(places)

    def replaced(self, common: Sequence[Atom], clauses: Sequence[Clause]) -> tuple[list[Atom], list[Clause]]:
        """The constraints, with columns of the groups in place of those of inputs."""
        if len(self.leaders) == len(self.places):
            return list(common), list(clauses)
        known: dict[int, tuple[Atom, Atom]] = {}

        def atom(one: Atom) -> Atom:
            if id(one) not in known:
                known[id(one)] = one, self._atom(one)
            return known[id(one)][1]

        return [atom(one) for one in common], [tuple(map(atom, clause)) for clause in clauses]

    def _atom(self, atom: Atom) -> Atom:
        sums: dict[int, Fraction] = {}
        for column, value in atom.coefficients.items():
            own = self._column(column)
            sums[own] = sums.get(own, Fraction(0)) + value
        return Atom({column: value for column, value in sums.items() if value}, atom.bound, atom.strict)

    def _column(self, column: int) -> int:
        if column < OUTPUTS:
            return self.places[column]
        return column if column < PRODUCTS else product(*map(self._column, factors(column)))


def _not_above(atom: Atom) -> tuple[int, int] | None:
    """The inputs of a constraint that says that the first is at most the second; None of any other constraint."""
    if len(atom.coefficients) != 2 or atom.bound or max(atom.coefficients) >= OUTPUTS:
        return None
    (left, above), (right, below) = sorted(atom.coefficients.items(), key=lambda entry: -entry[1])
    return (left, right) if above == -below else None
