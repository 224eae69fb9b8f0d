"""How far rounding may have moved what a sketch says of a node.

The centre line and every column, its random numbers divided by the largest of them, are at most as large as the
network makes `sizes` that contain the middle, the weights and the heights: M = |A|·M_in + |b| from layer to layer. A
layer adds a relative error γ to all it sums, so after a path of layers a number is off by at most θ·M with θ = Π(1 + γ)
- 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from autodual.bounds.projected.sketch import Term
from autodual.bounds.state.bound_state import BoundState
from autodual.tensors import flat


class Profile:
    """The sizes M `[N or 1, *shape]` and factors θ of the nodes of one bound computation."""

    def __init__(self, state: BoundState, terms: Sequence[Term], middles: Mapping[str, Tensor]):
        self.state = state
        self._sizes: dict[str, Tensor] = {}
        self._factors: dict[str, float] = {}
        for name in state.regions:
            size = middles[name].abs().detach()
            for term in terms:
                if name in term.weights:
                    size = size + term.weights[name].abs()
            self._sizes[name], self._factors[name] = size, state.error_factor(1)

    def error(self, name: str) -> Tensor:
        """What a node's centre line may be off by, `[N or 1, *shape]`; a product, in units of its column's peak."""
        self._walk(name)
        return self._factors[name] * self._sizes[name] + _floor(self._sizes[name])

    def error_of(self, name: str, coefficients: Tensor) -> Tensor:
        """The same of linear functions of a node, with coefficients `[N or 1, S, F]`: `[N or 1, S]`."""
        self._walk(name)
        size = flat(self._sizes[name])
        sums = torch.einsum("nsf,nf->ns", coefficients.abs(), size).detach()
        factor = self._factors[name] + (1 + self._factors[name]) * self.state.error_factor(size.shape[1])
        return factor * sums + _floor(sums)

    def _walk(self, name: str) -> None:
        graph, state = self.state.graph, self.state
        for node in graph.nodes[: graph.positions[name] + 1]:
            if node.name in self._sizes or node.name not in graph.ancestors[name]:
                continue
            layer, before = state.layers[node.name], [self._factors[operand] for operand in node.inputs]
            unit = state.error_factor(layer.terms)
            deepest = max(before, default=0.0)
            self._factors[node.name] = deepest + (1 + deepest) * unit
            self._sizes[node.name] = layer.magnitude([self._sizes[operand] for operand in node.inputs]).detach()


def _floor(like: Tensor) -> float:
    """Room for products that vanish: far above the smallest number times anything, and far below any bound."""
    return torch.finfo(like.dtype).tiny ** 0.5
