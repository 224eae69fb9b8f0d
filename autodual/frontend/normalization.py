"""Lowering of batch normalisation in inference mode, an affine map by its running statistics."""

from __future__ import annotations

from typing import Any

import torch

from autodual.frontend.builder import Builder
from autodual.frontend.registry import lowers
from autodual.frontend.values import apply
from autodual.ir import Expression, Node
from autodual.ir.ops import ElementwiseAffine

aten = torch.ops.aten


@lowers(aten.batch_norm.default)
def batch_norm(
    builder: Builder, x: Any, weight: Any, bias: Any, mean: Any, variance: Any, training: bool, *rest: Any
) -> Node:
    """x · γ/√(σ² + ϵ) + β − γμ/√(σ² + ϵ), per channel (the thesis' Corollary 7, whose printed offset lacks the γ)."""
    _, epsilon, _ = rest
    if training or mean is None or variance is None:
        builder.mixing("normalises by the statistics of the batch")
    return _normalised(builder, builder.node(x), weight, bias, mean, variance, epsilon)


@lowers(aten._native_batch_norm_legit_no_training.default)
def native_batch_norm(
    builder: Builder, x: Any, weight: Any, bias: Any, mean: Any, variance: Any, momentum: float, epsilon: float
) -> tuple[Node | None, ...]:
    """The form after decomposition: two more results serve training alone."""
    return _normalised(builder, builder.node(x), weight, bias, mean, variance, epsilon), None, None


@lowers(
    aten._native_batch_norm_legit.default,
    aten._native_batch_norm_legit.no_stats,
    aten._native_batch_norm_legit_functional.default,
    aten.native_batch_norm.default,
)
def training_batch_norm(builder: Builder, *_: Any) -> Node:
    builder.mixing("normalises by the statistics of the batch")


def _normalised(builder: Builder, x: Node, weight: Any, bias: Any, mean: Any, variance: Any, epsilon: float) -> Node:
    if not x.shape:
        builder.mixing("takes the batch axis for the channels")
    mu, sigma_squared = builder.constant(mean, "running mean"), builder.constant(variance, "running variance")
    gamma, beta = builder.constant(weight, "weight"), builder.constant(bias, "bias")
    factor = apply(torch.rsqrt, apply(torch.add, sigma_squared, epsilon))
    if gamma is not None:
        factor = apply(torch.mul, gamma, factor)
    shift = apply(torch.mul, mu, factor)
    offset = apply(torch.neg, shift) if beta is None else apply(torch.sub, beta, shift)

    def per_channel(values: Expression) -> Expression:
        return values if len(x.shape) == 1 else apply(torch.reshape, values, (-1, *(1,) * (len(x.shape) - 1)))

    return builder.emit(ElementwiseAffine(per_channel(factor), per_channel(offset)), x, shape=x.shape)
