"""The rule of Einsum."""

from __future__ import annotations

import string
from typing import Any

from autodual.frontend.compositions import product, reshaped
from autodual.frontend.construction import Unsupported
from autodual.frontend.onnx.attributes import Attributes
from autodual.frontend.onnx.builder import OnnxBuilder
from autodual.frontend.onnx.registry import onnx_op
from autodual.frontend.onnx.values import Branch, Static
from autodual.ir import Node
from autodual.ir.ops import Contraction, Expand, Permute, Sum


@onnx_op("Einsum")
def einsum(builder: OnnxBuilder, attributes: Attributes, *operands: Any) -> Branch:
    """A contraction with a constant, of one value alone, or of two that depend on the input."""
    terms, result = _terms(attributes.get("equation"), [len(operand.shape) for operand in operands])
    if any(len(set(term)) != len(term) for term in terms):
        raise Unsupported("it takes a diagonal")
    extents: dict[str, int] = {}
    for term, operand in zip(terms, operands, strict=True):
        for letter, extent in zip(term, operand.shape, strict=True):
            if extents.setdefault(letter, extent) != extent:
                raise Unsupported("it broadcasts an axis of extent 1")
    shape = tuple(extents[letter] for letter in result)
    if len(operands) == 2 and any(isinstance(operand, Static) for operand in operands):
        (branch, first), (constant, second) = sorted(
            zip(operands, terms, strict=True), key=lambda pair: isinstance(pair[0], Static)
        )
        op = Contraction(f"{first},{second}->{result}", builder.weight(constant))
        return builder.branch(builder.emit(op, builder.full(branch), shape=shape), shape)
    if len(operands) > 2:
        raise Unsupported(f"it has {len(operands)} operands; one or two are supported")
    order = "".join(sorted(extents))
    nodes = [_spread(builder, operand, term, order, extents) for operand, term in zip(operands, terms, strict=True)]
    node = nodes[0] if len(nodes) == 1 else product(builder, *nodes)
    summed = tuple(place for place, letter in enumerate(order) if letter not in result)
    kept = [letter for letter in order if letter in result]
    if summed:
        node = builder.emit(Sum(summed), node, shape=tuple(extents[letter] for letter in kept))
    turned = tuple(kept.index(letter) for letter in result)
    if turned != tuple(range(len(turned))):
        node = builder.emit(Permute(turned), node, shape=shape)
    return builder.branch(node, shape)


def _spread(builder: OnnxBuilder, operand: Any, term: str, order: str, extents: dict[str, int]) -> Node:
    """A value with one axis for each letter of `order`."""
    node = builder.full(operand)
    present = [letter for letter in order if letter in term]
    turned = tuple(term.index(letter) for letter in present)
    if turned != tuple(range(len(turned))):
        node = builder.emit(Permute(turned), node, shape=tuple(extents[letter] for letter in present))
    node = reshaped(builder, node, [extents[letter] if letter in term else 1 for letter in order])
    whole = tuple(extents[letter] for letter in order)
    return node if node.shape == whole else builder.emit(Expand(whole), node, shape=whole)


def _terms(equation: str, ranks: list[int]) -> tuple[list[str], str]:
    """The letters of each operand and of the result; an ellipsis becomes letters of its own."""
    equation = equation.replace(" ", "")
    left, arrow, result = equation.partition("->")
    terms = left.split(",")
    if len(terms) != len(ranks):
        raise Unsupported(f"its equation '{equation}' has {len(terms)} terms for {len(ranks)} operands")
    free = [letter for letter in string.ascii_letters if letter not in equation]
    longest = max((rank - len(term) + 3 for term, rank in zip(terms, ranks, strict=True) if "..." in term), default=0)
    outer = "".join(free[:longest])
    filled = []
    for term, rank in zip(terms, ranks, strict=True):
        own = rank - len(term) + 3
        filled.append(term.replace("...", outer[longest - own :] if own else ""))
    if not arrow:
        everything = "".join(terms).replace(".", "")
        result = outer + "".join(sorted(letter for letter in set(everything) if everything.count(letter) == 1))
    return filled, result.replace("...", outer)
