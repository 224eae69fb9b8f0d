"""Einsums of branches and constants."""

from __future__ import annotations

import math
import string
from collections.abc import Sequence
from dataclasses import dataclass

from autodual.frontend.compositions.arithmetic import product
from autodual.frontend.compositions.emitter import Emitter
from autodual.frontend.compositions.indexing import taken_diagonal
from autodual.frontend.compositions.reductions import summed
from autodual.frontend.compositions.shapes import permuted, reshaped
from autodual.frontend.construction import Unsupported
from autodual.ir import Expression, Node
from autodual.ir.ops import Contraction, MatrixProduct


@dataclass(frozen=True, eq=False)
class ConstantTerm:
    """A constant of an einsum: its letters, its value and its shape."""

    letters: str
    value: Expression
    shape: tuple[int, ...]


def spelled_out(equation: str, ranks: Sequence[int]) -> tuple[list[str], str]:
    """The letters of operands of these ranks, and of the result.

    An ellipsis gets letters of its own, and so does the result of an equation without an arrow.
    """
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(ranks):
        raise Unsupported(f"its equation '{equation}' has {len(terms)} terms for {len(ranks)} operands")
    free = [letter for letter in string.ascii_uppercase + string.ascii_lowercase if letter not in equation]
    hidden = [rank - len(term) + 3 if "..." in term else 0 for rank, term in zip(ranks, terms, strict=True)]
    dots = "".join(free[: max(hidden)])
    if not arrow:
        once = sorted(letter for letter in set(left) - set(".,") if left.count(letter) == 1)
        right = "".join(["..." if "..." in left else "", *once])
    spelled = [term.replace("...", dots[len(dots) - own :]) for own, term in zip(hidden, terms, strict=True)]
    return spelled, right.replace("...", dots)


def contracted(
    builder: Emitter, branches: Sequence[tuple[str, Node]], constants: Sequence[ConstantTerm], result: str
) -> Node:
    """The einsum of branches with their letters, at least one, and constants.

    Constants are contracted with the first branch, whose letters are then multiplied with those of the others.
    """
    (letters, node), *others = (_diagonal(builder, letters, x) for letters, x in branches)
    for place, constant in enumerate(constants):
        unread = [*(term for term, _ in others), *(other.letters for other in constants[place + 1 :])]
        letters, node = _with_constant(builder, letters, node, constant, result, "".join(unread))
    for place, (term, other) in enumerate(others):
        later = "".join(term for term, _ in others[place + 1 :]) + result
        summed_over = "".join(letter for letter in letters if letter in term and letter not in later)
        multiplied = _matrices if summed_over and set(letters) != set(term) else _multiplied
        letters, node = multiplied(builder, letters, node, term, other, summed_over)
    return _arranged(builder, letters, node, result)


def _diagonal(builder: Emitter, term: str, x: Node) -> tuple[str, Node]:
    """An operand with each of its letters once: of a letter that occurs twice it is the diagonal."""
    for letter in dict.fromkeys(term):
        while term.count(letter) > 1:
            first = term.index(letter)
            second = term.index(letter, first + 1)
            x = taken_diagonal(builder, x, first, second)
            term = term[:first] + term[first + 1 : second] + term[second + 1 :] + letter
    return term, x


def _with_constant(
    builder: Emitter, letters: str, x: Node, constant: ConstantTerm, result: str, later: str
) -> tuple[str, Node]:
    """The einsum with one constant; letters that neither the result nor a later operand has are summed over at once."""
    own = list(zip(constant.letters, constant.shape, strict=True))
    sizes = {**dict(own), **dict(zip(letters, x.shape, strict=True))}
    if any(sizes[letter] != extent for letter, extent in own):
        raise Unsupported("an axis of extent 1 is broadcast; repeat it with expand")
    known = dict.fromkeys(letters + constant.letters)
    kept = "".join(letter for letter in known if letter in result + later) if later else result
    op = Contraction(f"{letters},{constant.letters}->{kept}", constant.value)
    return kept, builder.emit(op, x, shape=tuple(sizes[letter] for letter in kept))


def _matrices(builder: Emitter, letters: str, x: Node, term: str, y: Node, summed_over: str) -> tuple[str, Node]:
    """The product of two branches, summed over some letters of both: a product of matrices."""
    both = "".join(letter for letter in letters if letter in term and letter not in summed_over)
    rows = "".join(letter for letter in letters if letter not in term)
    columns = "".join(letter for letter in term if letter not in letters)
    sizes = {**dict(zip(letters, x.shape, strict=True)), **dict(zip(term, y.shape, strict=True))}

    def count(some: str) -> int:
        return math.prod(sizes[letter] for letter in some)

    def matrix(own: str, z: Node, first: str, second: str) -> Node:
        z = permuted(builder, z, [own.index(letter) for letter in both + first + second])
        return reshaped(builder, z, [*(sizes[letter] for letter in both), count(first), count(second)])

    left, right = matrix(letters, x, rows, summed_over), matrix(term, y, summed_over, columns)
    found = builder.emit(MatrixProduct(), left, right, shape=(*left.shape[:-1], right.shape[-1]))
    kept = both + rows + columns
    return kept, reshaped(builder, found, [sizes[letter] for letter in kept])


def _multiplied(builder: Emitter, letters: str, x: Node, term: str, y: Node, _: str) -> tuple[str, Node]:
    """The product of two branches over the union of their letters."""
    union = "".join(dict.fromkeys(letters + term))
    return union, product(builder, _spread(builder, letters, x, union), _spread(builder, term, y, union))


def _spread(builder: Emitter, letters: str, x: Node, union: str) -> Node:
    """x with one axis for each letter of the union, in its order; of extent 1 where x lacks the letter."""
    x = permuted(builder, x, [letters.index(letter) for letter in union if letter in letters])
    sizes = iter(x.shape)
    return reshaped(builder, x, [next(sizes) if letter in letters else 1 for letter in union])


def _arranged(builder: Emitter, letters: str, x: Node, result: str) -> Node:
    """x summed over the letters that the result lacks, with its axes in the result's order."""
    gone = tuple(place for place, letter in enumerate(letters) if letter not in result)
    kept = "".join(letter for letter in letters if letter in result)
    if gone:
        x = summed(builder, x, gone, keepdim=False)
    return permuted(builder, x, [kept.index(letter) for letter in result])
