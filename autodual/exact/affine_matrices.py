"""Affine ops as sparse matrices, read off the rows that their dual layers pull back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from autodual.bounds.rounding.error_factor import error_factor, underflow
from autodual.dual import DualLayer, Rows
from autodual.errors import InvalidInputError
from autodual.interval import Interval
from autodual.ir import Node
from autodual.tensors import flat

# Numbers of the dense rows that are pulled at a time, and entries that a matrix may have.
_AT_ONCE = 1 << 24
_MOST = 30_000_000


@dataclass(frozen=True, eq=False)
class AffineMatrix:
    """node = Σ_k A_k input_k + b: every A_k `[size, size_k]` sparse by rows, b `[size]`; float64, on the CPU."""

    layer: DualLayer
    parts: tuple[Tensor, ...]
    constant: Tensor

    @classmethod
    def of(cls, node: Node, layer: DualLayer, shapes: Sequence[tuple[int, ...]], device: torch.device) -> AffineMatrix:
        """The matrix of a layer, some rows at a time.

        Raises InvalidInputError where it has more entries than a program can hold.
        """
        size, sizes = node.size, [math.prod(shape) for shape in shapes]
        blocks: list[list[Tensor]] = [[] for _ in shapes]
        step, entries = max(1, _AT_ONCE // max(size, *sizes, 1)), 0
        for first in range(0, size if shapes else 0, step):
            units = torch.eye(size, dtype=torch.float64, device=device)[first : first + step]
            pulled = layer.pull(Rows(units.reshape(1, -1, *node.shape), node.shape))
            for block, rows in zip(blocks, pulled):
                block.append(flat(rows.dense().values[0]).cpu().to_sparse())
                entries += block[-1].values().shape[0]
            if entries > _MOST:
                raise InvalidInputError(
                    f"node '{node.name}' has more than {_MOST:,} coefficients, too many for an exact program; exact "
                    "verification is for small networks"
                )
        zeros = [torch.zeros(1, *shape, dtype=torch.float64, device=device) for shape in shapes]
        constant = layer.constant(zeros).expand(1, *node.shape).flatten().cpu()
        return cls(layer, tuple(torch.cat(block).to_sparse_csr() for block in blocks), constant)

    def allowance(self, bounds: Sequence[Interval]) -> Tensor:
        """What the op's rounded coefficients may be off by over bounds of its inputs, `[1, *shape]`."""
        sizes = [interval.magnitude for interval in bounds]
        magnitude = self.layer.magnitude(sizes)
        if self.layer.moves:
            return torch.zeros_like(magnitude)
        factor = error_factor(self.layer.terms, torch.float64)
        return factor * magnitude + underflow(self.layer.terms, sizes, magnitude[0].numel(), like=magnitude)
