"""Lowering of einsum: of one branch, with constants, and of several branches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from autodual.frontend.compositions import product, reshaped, taken_diagonal
from autodual.frontend.construction import Unsupported
from autodual.frontend.torch.builder import Builder
from autodual.frontend.torch.registry import lowers
from autodual.frontend.torch.rules.shapes import permuted
from autodual.frontend.torch.values import Fixed
from autodual.ir import Node
from autodual.ir.ops import Contraction, Sum

aten = torch.ops.aten


@lowers(aten.einsum.default, any_batch_axis=True)
def einsum(builder: Builder, equation: str, operands: Sequence[Any], *_: Any) -> Node:
    """Constants are contracted with the first branch, whose letters are then multiplied with those of the others."""
    terms, result = _letters(equation, operands)
    paired = list(zip(terms, operands, strict=True))
    batch = {term[builder.batch_axis(node)] for term, node in paired if isinstance(node, Node)}
    if len(batch) != 1 or not batch <= set(result):
        builder.mixing("does not keep the batch axes of all branches together")
    if builder.layout is not None and builder.layout.merged:
        raise Unsupported("the batch axis is merged with another axis; separate them before")
    (axis,) = batch
    branches: list[tuple[str, Node]] = []
    constants: list[tuple[str, Fixed]] = []
    for term, operand in paired:
        if isinstance(operand, Node):
            if term.count(axis) > 1:
                builder.mixing("takes the diagonal of the batch axis")
            branches.append(_diagonal(builder, term.replace(axis, ""), operand))
        elif axis in term:
            builder.mixing("contracts a constant along the batch axis")
        else:
            constants.append((term, operand))
    letters, node = branches[0]
    for place, (term, constant) in enumerate(constants):
        later = "".join([result, *(t for t, _ in branches[1:]), *(t for t, _ in constants[place + 1 :])])
        letters, node = _contracted(builder, letters, node, term, constant, later)
    for term, other in branches[1:]:
        letters, node = _multiplied(builder, letters, node, term, other)
    return _arranged(builder, letters, node, result.replace(axis, ""))


def _letters(equation: str, operands: Sequence[Any]) -> tuple[list[str], str]:
    """The operands' and the result's letters: an ellipsis spelled out, and the result's where the equation has none."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    ranks = [len(operand.shape) + isinstance(operand, Node) for operand in operands]
    free = [letter for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if letter not in equation]
    hidden = max([rank - len(t) + 3 for rank, t in zip(ranks, terms, strict=True) if "..." in t], default=0)
    dots = "".join(free[:hidden])
    if not arrow:
        known = sorted(set(left) - set(".,"))
        right = "..." * ("..." in left) + "".join(letter for letter in known if left.count(letter) == 1)
    spelled = []
    for rank, term in zip(ranks, terms, strict=True):
        own = rank - len(term) + 3
        spelled.append(term.replace("...", dots[hidden - own :] if "..." in term else ""))
    return spelled, right.replace("...", dots)


def _diagonal(builder: Builder, term: str, x: Node) -> tuple[str, Node]:
    """A letter that occurs twice in one operand reads its diagonal."""
    for letter in dict.fromkeys(term):
        while term.count(letter) > 1:
            first = term.index(letter)
            second = term.index(letter, first + 1)
            x = taken_diagonal(builder, x, first, second)
            term = term[:first] + term[first + 1 : second] + term[second + 1 :] + letter
    return term, x


def _contracted(builder: Builder, letters: str, x: Node, term: str, constant: Fixed, later: str) -> tuple[str, Node]:
    """The einsum with one constant; letters that nothing later reads are summed over at once."""
    value = builder.constant(constant, "factor")
    sizes = {**dict(zip(term, constant.shape, strict=True)), **dict(zip(letters, x.shape, strict=True))}
    if any(sizes[letter] != extent for letter, extent in zip(term, constant.shape, strict=True)):
        raise Unsupported("an axis of extent 1 is broadcast; repeat it with expand")
    kept = "".join(letter for letter in dict.fromkeys(letters + term) if letter in later)
    assert value is not None
    shape = tuple(sizes[letter] for letter in kept)
    return kept, builder.emit(Contraction(f"{letters},{term}->{kept}", value), x, shape=shape)


def _multiplied(builder: Builder, letters: str, x: Node, term: str, y: Node) -> tuple[str, Node]:
    """The product of two branches over the union of their letters."""
    union = "".join(dict.fromkeys(letters + term))
    return union, product(builder, _spread(builder, letters, x, union), _spread(builder, term, y, union))


def _spread(builder: Builder, letters: str, x: Node, union: str) -> Node:
    """The axes in the order of the union, with extent 1 where a letter is missing."""
    order = [letters.index(letter) for letter in union if letter in letters]
    x = permuted(builder, x, order)
    sizes = iter(x.shape)
    return reshaped(builder, x, [next(sizes) if letter in letters else 1 for letter in union])


def _arranged(builder: Builder, letters: str, x: Node, result: str) -> Node:
    """Letters that the result lacks summed over, the others in its order."""
    gone = tuple(place for place, letter in enumerate(letters) if letter not in result)
    kept = "".join(letter for letter in letters if letter in result)
    if gone:
        shape = tuple(extent for place, extent in enumerate(x.shape) if place not in gone)
        x = builder.emit(Sum(gone), x, shape=shape)
    return permuted(builder, x, [kept.index(letter) for letter in result])
