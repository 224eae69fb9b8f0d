"""Runs small networks in a given dtype with every sum in a random order, as an accelerator might."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

import autodual
from autodual.ir import Environment, ops


def run_in_any_order(layers: Sequence[nn.Module], x: Tensor, generator: torch.Generator) -> Tensor:
    """The layers on x, in x's dtype; linear layers and convolutions add their terms in random order."""
    for layer in layers:
        if isinstance(layer, nn.Linear):
            x = _summed(layer.weight * x.unsqueeze(1), layer.bias, generator)
        elif isinstance(layer, nn.Conv2d):
            x = _convolved(layer, x, generator)
        else:
            x = layer(x)
    return x


def run_graph(dual: autodual.DualNetwork, x: Tensor, generator: torch.Generator) -> Tensor:
    """The traced graph on x, in x's dtype, op by op; every sum is in random order."""
    graph = dual.compiled(x).graph
    environment = Environment(dual.tensors(dual.compiled(x)).__getitem__, x.dtype, x.device)
    values = {graph.inputs[0]: x}
    for node in graph:
        if node.name not in values:
            operands = [values[name] for name in node.inputs]
            sums = _SUMS.get(type(node.op))
            values[node.name] = (
                node.op.forward(operands, environment)
                if sums is None
                else sums(node.op, operands, environment, generator)
            )
    return values[graph.outputs[0]]


def _linear(op: ops.Linear, operands: Sequence[Tensor], environment: Environment, generator: torch.Generator) -> Tensor:
    bias = None if op.bias is None else environment(op.bias)
    return _summed(environment(op.weight) * operands[0].unsqueeze(-2), bias, generator)


def _product(op: Any, operands: Sequence[Tensor], environment: Environment, generator: torch.Generator) -> Tensor:
    x, y = operands
    return _summed(x.unsqueeze(-2) * y.transpose(-1, -2).unsqueeze(-3), None, generator)


def _reduced(op: Any, operands: Sequence[Tensor], environment: Environment, generator: torch.Generator) -> Tensor:
    (x,) = operands
    axes = [axis + 1 for axis in op.axes]
    last = x.movedim(axes, list(range(-len(axes), 0))).flatten(-len(axes))
    total = _summed(last, None, generator)
    total = total / last.shape[-1] if isinstance(op, ops.Mean) else total
    for axis in sorted(axes) if op.keepdim else []:
        total = total.unsqueeze(axis)
    return total


_SUMS: dict[type, Callable[..., Tensor]] = {
    ops.Linear: _linear,
    ops.MatrixProduct: _product,
    ops.Sum: _reduced,
    ops.Mean: _reduced,
}


def _convolved(layer: nn.Conv2d, x: Tensor, generator: torch.Generator) -> Tensor:
    assert layer.groups == 1 and not isinstance(layer.padding, str)
    patches = nn.functional.unfold(x, layer.kernel_size, layer.dilation, layer.padding, layer.stride)
    products = layer.weight.flatten(1)[None, :, None] * patches.transpose(1, 2).unsqueeze(1)
    bias = None if layer.bias is None else layer.bias[:, None]
    out = [
        (extent + 2 * pad - kernel) // step + 1
        for extent, pad, kernel, step in zip(x.shape[2:], layer.padding, layer.kernel_size, layer.stride)
    ]
    return _summed(products, bias, generator).reshape(x.shape[0], -1, *out)


def _summed(terms: Tensor, bias: Tensor | None, generator: torch.Generator) -> Tensor:
    """Sums over the last axis, each addition rounded: term by term, pairwise, or partial sums of chunks."""
    count = terms.shape[-1]
    terms = terms[..., torch.randperm(count, generator=generator)]
    way = int(torch.randint(3, (), generator=generator))
    if way == 0:
        total = terms[..., 0] if bias is None else terms[..., 0] + bias
        for place in range(1, count):
            total = total + terms[..., place]
        return total
    size = 2 if way == 1 else 1 + int(torch.randint(7, (), generator=generator))
    parts = list(terms.unbind(-1))
    while len(parts) > 1:
        parts = [_chain(parts[start : start + max(size, 2)]) for start in range(0, len(parts), max(size, 2))]
    return parts[0] if bias is None else parts[0] + bias


def _chain(parts: Sequence[Tensor]) -> Tensor:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
