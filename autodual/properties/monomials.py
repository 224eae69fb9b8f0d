"""Products of variables as columns: a whole number that spells the columns of its factors, lowest first.

A product of one factor stands for an input that a constraint ties to outputs: it is an output of the network that is
verified, and so is every other product.
"""

from __future__ import annotations

from autodual.errors import DataError

#: The column of the first output, beyond all inputs.
OUTPUTS = 1 << 32
#: The first product, beyond all variables.
PRODUCTS = 1 << 34

_BITS = 34
_MOST_FACTORS = 8


def factors(column: int) -> tuple[int, ...]:
    """The variables whose product a column is; a variable's own column is a product of one."""
    if column < PRODUCTS:
        return (column,)
    found = []
    while column := column >> _BITS:
        found.append((column & (PRODUCTS - 1)) - 1)
    return tuple(found)


def product(*columns: int) -> int:
    """The column of a product of columns.

    Raises:
        DataError: it has too many factors.
    """
    found = sorted(factor for column in columns for factor in factors(column))
    if len(found) > _MOST_FACTORS:
        raise DataError(f"the property multiplies {len(found)} variables; at most {_MOST_FACTORS} can be multiplied.")
    return sum((factor + 1) << (_BITS * place) for place, factor in enumerate(found, 1))
