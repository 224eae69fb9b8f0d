"""What both frontends make of a model: its graph, and how the names in it are found in the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from autodual.frontend.constants import finite_names
from autodual.ir import Graph


@dataclass(frozen=True)
class TracedNetwork:
    """A model's graph for one sample, and the constants that it reads besides the model's parameters and buffers.

    `graph.inputs` are the names of the inputs in the order of the model's arguments; `output` is the place of the
    graph's output among the model's flattened outputs. dtype: that of the inputs in tracing; some models take
    constants from it. batches: the least and the largest batch that the model runs on; None: any.
    """

    graph: Graph
    constants: Mapping[str, Tensor] = field(default_factory=dict)
    output: int = 0
    dtype: torch.dtype = torch.float32
    batches: tuple[int, int | None] = (1, None)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all parameters, buffers and constants that the graph reads, sorted."""
        expressions = (expression for node in self.graph for expression in node.op.expressions())
        return tuple(sorted({name for expression in expressions for name in expression.parameters()}))

    @property
    def finite_names(self) -> set[str]:
        """The names of the tensors that must be finite: all but masks, which a softmax adds to its scores."""
        expressions = (expression for node in self.graph for expression in node.op.expressions())
        return {name for expression in expressions for name in finite_names(expression)}

    def lookup(self, model: nn.Module) -> Callable[[str], Tensor]:
        """A function from a name in the graph to its tensor: a constant here, or what `model` holds under it now."""

        def find(name: str) -> Tensor:
            if name in self.constants:
                return self.constants[name]
            value: Any = reduce(getattr, name.split("."), model)
            return value

        return find


@runtime_checkable
class KnowsItsGraph(Protocol):
    """A module that knows its graph, such as a loaded ONNX network: it need not be traced."""

    def traced_network(self, shapes: Sequence[Sequence[int]] | None = None) -> TracedNetwork:
        """The graph, in the names of the module's own parameters and buffers.

        shapes: those of one sample of each input, for a module that takes several; None: the usual ones.
        """
        ...
