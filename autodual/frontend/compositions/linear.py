"""Matrix products of two branches, and of a branch with constant matrices."""

from __future__ import annotations

import string
from collections.abc import Sequence

import torch

from autodual.frontend.compositions.emitter import Emitter
from autodual.frontend.compositions.shapes import broadcast, reshaped
from autodual.frontend.constants import apply
from autodual.ir import Expression, Node
from autodual.ir.ops import Contraction, MatrixProduct


def matrix_product(builder: Emitter, x: Node, y: Node) -> Node:
    """x @ y of two branches `[..., n, k]` and `[..., k, m]`."""
    outer = tuple(torch.broadcast_shapes(x.shape[:-2], y.shape[:-2]))
    x, y = broadcast(builder, x, (*outer, *x.shape[-2:])), broadcast(builder, y, (*outer, *y.shape[-2:]))
    return builder.emit(MatrixProduct(), x, y, shape=(*outer, x.shape[-2], y.shape[-1]))


def stacked_product(
    builder: Emitter, x: Node, matrices: Expression, shape: Sequence[int], *, from_left: bool = False
) -> Node:
    """x @ matrices, or matrices @ x from the left, with constant matrices; leading axes are broadcast.

    shape: that of the matrices, `[..., rows, columns]`. x: `[..., n, k]`.
    """
    shape = tuple(shape)
    outer = tuple(torch.broadcast_shapes(x.shape[:-2], shape[:-2]))
    stack = string.ascii_lowercase[: len(outer)]
    mine, theirs, result = ("YZ", "XY", "XZ") if from_left else ("XY", "YZ", "XZ")
    own, extents = _repeated(stack, x.shape)
    other, sizes = _repeated(stack, shape)
    # An axis of extent 1 that the other factor repeats is left out of the equation, which repeats it.
    kept = "".join(letter for letter, extent in zip(stack, outer, strict=True) if extent > 1)
    expression = matrices if shape == sizes else apply(torch.reshape, matrices, sizes)
    rows, columns = (shape[-2], x.shape[-1]) if from_left else (x.shape[-2], shape[-1])
    produced = (*(extent for extent in outer if extent > 1), rows, columns)
    op = Contraction(f"{own}{mine},{other}{theirs}->{kept}{result}", expression)
    found = builder.emit(op, reshaped(builder, x, extents), shape=produced)
    return reshaped(builder, found, (*outer, rows, columns))


def _repeated(stack: str, shape: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
    """The letters of the leading axes that are not of extent 1, and the shape without the others."""
    own = stack[len(stack) - (len(shape) - 2) :]
    kept = [(letter, extent) for letter, extent in zip(own, shape[:-2], strict=True) if extent > 1]
    return "".join(letter for letter, _ in kept), (*(extent for _, extent in kept), *shape[-2:])


def weighed_along(builder: Emitter, x: Node, axis: int, matrix: Expression, size: int) -> Node:
    """Along one axis each of `size` entries becomes a sum of the old ones, by a constant matrix `[size, extent]`."""
    letters = string.ascii_lowercase[: len(x.shape)]
    old, new = letters[axis], "Z"
    shape = (*x.shape[:axis], size, *x.shape[axis + 1 :])
    return builder.emit(Contraction(f"{letters},{new}{old}->{letters.replace(old, new)}", matrix), x, shape=shape)
