"""Inner products and norms of rows of cotangents: the hot loops behind every support function."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional


def flatten(values: Tensor, leading: int) -> Tensor:
    """`values` with all axes after the first `leading` ones merged into one (of extent 1 if there are none)."""
    shape = values.shape
    return values if len(shape) == leading + 1 else values.reshape(*shape[:leading], math.prod(shape[leading:]))


def inner(rows: Tensor, features: Tensor) -> Tensor:
    """<row, feature> of rows `[G or 1, K, *extent]` and features `[G or 1, 1, *extent]`, as `[G or 1, K]`."""
    return flat_inner(flatten(rows, 2), flatten(features[:, 0], 1))


def flat_inner(rows: Tensor, features: Tensor) -> Tensor:
    """<row, feature> of flat rows `[G or 1, K, F]` and features `[G or 1, F]`, as `[G or 1, K]`.

    By whichever kernel is fast on CPUs: their library multiplies a batch of matrices by one column each ten times more
    slowly than one row by a batch of matrices, and the gradients of either are slow.
    """
    if rows.shape[0] == 1:
        return functional.linear(features, rows[0])
    if features.shape[0] == 1:
        return rows @ features[0]
    recorded = torch.is_grad_enabled() and (rows.requires_grad or features.requires_grad)
    if recorded or rows.shape[1] == 1:
        return (rows * features.unsqueeze(1)).sum(2)
    return torch.bmm(features.unsqueeze(1), rows.transpose(1, 2)).squeeze(1)


def dual_order(order: float) -> float:
    """The order q of the dual norm: 1/p + 1/q = 1."""
    if order == 1:
        return math.inf
    return 1.0 if order == math.inf else order / (order - 1)


def norm(values: Tensor, order: float) -> Tensor:
    """The norm of that order (in [1, inf]) over the last axis; its derivatives are finite at zero vectors.

    NaN in gives NaN out: a norm that dropped a NaN would make a bound look valid.
    """
    if order == 1:
        return values.abs().sum(-1)
    if order == math.inf:
        return values.abs().amax(-1)
    if order == 2:
        return _euclidean_norm(values)
    return _scaled_norm(values, order)


def support_norm(rows: Tensor, order: float) -> Tensor:
    """The norm of rows over the last axis, not below the true norm by more than relative rounding.

    Squares underflow long before the numbers do, so Euclidean norms near zero are rounded up to a size where they
    do not.
    """
    if order != 2:
        return norm(rows, order)
    limits = torch.finfo(rows.dtype)
    return norm(rows, order).clamp(min=math.sqrt(rows.shape[-1] * limits.tiny / limits.eps))


def _euclidean_norm(values: Tensor) -> Tensor:
    square = (values * values).sum(-1)
    return torch.where(square == 0, square, torch.where(square == 0, 1, square).sqrt())


def _scaled_norm(values: Tensor, order: float) -> Tensor:
    """Divided by the largest entry first: high powers of small numbers would underflow to a norm of zero."""
    peak = values.detach().abs().amax(-1, keepdim=True)
    scaled = torch.where(peak == 0, 1, values / torch.where(peak == 0, 1, peak))
    return torch.linalg.vector_norm(scaled, order, dim=-1) * peak.squeeze(-1)
