"""Compares the traced graph of a model with the model: outputs in float64, and the shape of every node."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from autodual.frontend import TracedNetwork, trace
from autodual.ir import Environment


class Applied(nn.Module):
    """A module that applies a function `(module, x)`, and has parameters and constants of several shapes for it."""

    def __init__(self, function: Callable[..., Tensor]):
        super().__init__()
        self.function = function
        generator = torch.Generator().manual_seed(1)

        def draw(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(*shape, generator=generator))

        self.square, self.vector, self.matrix = draw(4, 4), draw(4), draw(4, 5)
        self.channels, self.kernel = draw(1, 3, 1, 1), draw(6, 3, 3, 2)
        self.token = draw(1, 1, 4)
        self.register_buffer("integers", torch.arange(4))

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x)


def evaluate(traced: TracedNetwork, model: nn.Module, *inputs: Tensor) -> Tensor:
    environment = Environment(traced.lookup(model), inputs[0].dtype, inputs[0].device)
    values = traced.graph.evaluate(inputs, environment)
    for node in traced.graph:
        assert values[node.name].shape[1:] == node.shape, node.name
    return values[traced.graph.outputs[0]]


def assert_same(model: nn.Module, shape: tuple[int, ...], positive: bool = False) -> TracedNetwork:
    """Convert the model to float64, trace it, and compare on random inputs, which are positive if asked."""
    model = model.double()
    generator = torch.Generator().manual_seed(3)
    inputs = torch.randn(4, *shape, dtype=torch.float64, generator=generator)
    inputs = inputs.abs() + 0.2 if positive else inputs
    traced = trace(model, inputs[:1] if positive else torch.zeros(1, *shape))
    model.eval()
    with torch.no_grad():
        expected = model(inputs.clone())
        result = evaluate(traced, model, inputs).expand_as(expected)
    torch.testing.assert_close(result, expected, rtol=1e-12, atol=1e-12)
    return traced
