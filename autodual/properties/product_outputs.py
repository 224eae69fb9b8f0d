"""Constraints that are not linear in inputs alone or in outputs alone, as linear constraints of further outputs.

A product of variables becomes an output of the network that is verified. So does an input that a constraint ties to
outputs, as a product of one.
"""

from __future__ import annotations

from collections.abc import Sequence

from autodual.errors import DataError
from autodual.properties.formulas import Atom
from autodual.properties.monomials import OUTPUTS, PRODUCTS, factors, product
from autodual.properties.normal_form import Clause

_MOST_PRODUCTS = 10_000


class ProductOutputs:
    """Gives each product that constraints name a place behind all other outputs; `declared`: how many those are."""

    def __init__(self, declared: int) -> None:
        self._declared = declared
        self._places: dict[int, int] = {}
        self._replaced: dict[int, tuple[Atom, Atom]] = {}

    @property
    def found(self) -> tuple[tuple[int, ...], ...]:
        """The columns of each product's factors, in the order of their places."""
        return tuple(factors(column) for column in self._places)

    def replaced(self, common: Sequence[Atom], clauses: Sequence[Clause]) -> tuple[list[Atom], list[Clause]]:
        """The constraints, with the columns of products where they name any.

        Raises:
            DataError: there are too many products.
        """
        return [self._atom(atom) for atom in common], [tuple(map(self._atom, clause)) for clause in clauses]

    def _atom(self, atom: Atom) -> Atom:
        columns = atom.coefficients
        if not columns or _one_sided(min(columns), max(columns)):
            return atom
        if id(atom) not in self._replaced:
            coefficients = {self._column(column): value for column, value in columns.items()}
            # The old one is kept, too, so that no other atom gets its id.
            self._replaced[id(atom)] = atom, Atom(coefficients, atom.bound, atom.strict)
        return self._replaced[id(atom)][1]

    def _column(self, column: int) -> int:
        if OUTPUTS <= column < PRODUCTS:
            return column
        place = self._places.setdefault(product(column), len(self._places))
        if place >= _MOST_PRODUCTS:
            raise DataError(f"the property names more than {_MOST_PRODUCTS} products of variables; split it.")
        return OUTPUTS + self._declared + place


def _one_sided(first: int, last: int) -> bool:
    """Whether columns from `first` to `last` are inputs alone or outputs alone, and no products."""
    return last < OUTPUTS or OUTPUTS <= first <= last < PRODUCTS
