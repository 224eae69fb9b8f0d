"""Runs of small networks in a dtype, with every sum in an order of its own: what an accelerator might do."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def run_in_any_order(layers: Sequence[nn.Module], x: Tensor, generator: torch.Generator) -> Tensor:
    """The layers on x, in x's dtype; sums of linear layers and convolutions in random order, in chunks and in parts."""
    for layer in layers:
        if isinstance(layer, nn.Linear):
            x = _summed(layer.weight * x.unsqueeze(1), layer.bias, generator)
        elif isinstance(layer, nn.Conv2d):
            x = _convolved(layer, x, generator)
        else:
            x = layer(x)
    return x


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
