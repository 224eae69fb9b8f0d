"""Inner products of rows with tensors of their node: factored and shared rows are never laid out."""

from __future__ import annotations

import torch
from torch import Tensor

from autodual.dual.rows import Rows
from autodual.tensors import flat


def inner(rows: Rows, tensor: Tensor, *, absolute: bool = False) -> Tensor:
    """⟨ν, t⟩ (or ⟨|ν|, t⟩) of each row with its sample's features.

    Args:
        rows: `[G, K]` rows of a node of shape `[*shape]`.
        tensor: `[N or 1, *shape]`.
        absolute: of the rows' magnitudes.

    Returns:
        `[G or 1, K]`.

    Example:
        >>> import torch
        >>> from autodual.dual import Rows, inner
        >>> rows = Rows(torch.tensor([[[1.0, -2.0]]]), (2,))
        >>> inner(rows, torch.tensor([[3.0, 4.0]])), inner(rows, torch.tensor([[3.0, 4.0]]), absolute=True)
        (tensor([[-5.]]), tensor([[11.]]))
    """
    return _product(rows, rows.features(tensor), absolute)


def inner_everywhere(rows: Rows, tensor: Tensor) -> Tensor:
    """⟨ν, t⟩ of cropped `rows` with a `tensor` `[1, C, 1, …]` that is equal at all positions: `[G or 1, K]`."""
    return _product(rows, rows.everywhere(tensor), absolute=False)


def _product(rows: Rows, features: Tensor, absolute: bool) -> Tensor:
    """Rows with features `[G or 1, 1, *extent]`.

    Factored rows are never laid out: shared ones are one matrix product, whose cost does not grow with samples × rows.
    """
    base = rows.base.abs() if absolute else rows.base
    if rows.scale is not None:
        features = features * (rows.scale.abs() if absolute else rows.scale)
    if base.dim() == 2:
        # An output of one number per sample has no axes to flatten.
        base, features = base.unsqueeze(2), features.unsqueeze(2)
    return contract(flat(base, 2), flat(features, 2))


def contract(values: Tensor, features: Tensor) -> Tensor:
    """Σ_f values[g, k, f] · features[g, 0, f], either side shared where its first axis is 1.

    Args:
        values: rows `[G or 1, K, *features]`.
        features: `[G or 1, 1, *features]`.

    Returns:
        `[G, K]`.

    Example:
        >>> import torch
        >>> from autodual.dual import contract
        >>> contract(torch.tensor([[[1.0, 2.0]]]), torch.tensor([[[3.0, 4.0]]]))
        tensor([[11.]])
    """
    if values.shape[0] == 1:
        return features[:, 0] @ values[0].T
    if features.shape[0] == 1:
        return values @ features[0, 0]
    if values.shape[1] == 1:
        return (values[:, 0] * features[:, 0]).sum(1, keepdim=True)
    return torch.bmm(values, features.transpose(1, 2)).squeeze(2)
