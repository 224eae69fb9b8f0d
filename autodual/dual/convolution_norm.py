"""Upper bounds of the spectral norm of convolutions: of their Gram matrix where it is small, else on a torus."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor

from autodual.dual.spectral_norm import largest_eigenvalue_bound
from autodual.dual.torus_norm import torus_norm
from autodual.dual.transpose import Geometry, transpose_convolution
from autodual.ir import ops

# The most rows of a Gram matrix, and multiplications to make it.
_ROWS, _MULTIPLICATIONS = 1024, 4e8
# The last norms, by the digest of the weights and the shapes: a network that is bounded again and again keeps its own.
_KEPT: OrderedDict[tuple, Tensor] = OrderedDict()
_MOST_KEPT = 64


def convolution_norm(op: ops.Convolution, weight: Tensor, operand: Sequence[int], output: Sequence[int]) -> Tensor:
    """At least a convolution's spectral norm: a number, float64, on the weight's device; infinite if it is too costly.

    No gradients flow to it.

    Args:
        op: the convolution.
        weight: `[out, in of a group, *kernel]`.
        operand: shape of the input, `[in, *spatial]`.
        output: shape of the output.
    """
    digest = hashlib.blake2b(weight.detach().cpu().contiguous().numpy().tobytes()).digest()
    geometry = Geometry(op.stride, op.padding, op.dilation, op.groups)
    key = (digest, weight.dtype, tuple(weight.shape), geometry, tuple(operand), tuple(output))
    if key not in _KEPT:
        _KEPT[key] = _norm(op, weight.detach().double(), geometry, operand, output).cpu()
        if len(_KEPT) > _MOST_KEPT:
            _KEPT.popitem(last=False)
    _KEPT.move_to_end(key)
    return _KEPT[key].to(weight.device)


def _norm(
    op: ops.Convolution, weight: Tensor, geometry: Geometry, operand: Sequence[int], output: Sequence[int]
) -> Tensor:
    inputs, outputs = torch.Size(operand).numel(), torch.Size(output).numel()
    rows = min(inputs, outputs)
    if rows > _ROWS or rows * outputs * weight[0].numel() > _MULTIPLICATIONS:
        return torus_norm(weight, geometry, output[1:])
    identity = torch.eye(rows, dtype=weight.dtype, device=weight.device)
    if outputs <= inputs:
        pulled = transpose_convolution(identity.reshape(rows, *output), weight, geometry, operand[1:])
        gram = op.convolve(pulled, weight, None).flatten(1)
    else:
        pushed = op.convolve(identity.reshape(rows, *operand), weight, None)
        gram = transpose_convolution(pushed, weight, geometry, operand[1:]).flatten(1)
    # Its entries are sums over a kernel, so the matrix is off by that in the Frobenius norm.
    terms = max(weight[0].numel(), weight[:, 0].numel()) + 16
    off = 4 * terms * torch.finfo(weight.dtype).eps * gram.diagonal().sum().abs()
    return (largest_eigenvalue_bound(gram) + off).sqrt() * (1 + 16 * torch.finfo(weight.dtype).eps)
