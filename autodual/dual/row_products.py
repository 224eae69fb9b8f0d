"""Inner products of rows with tensors of their node: factored and shared rows are never laid out."""

from __future__ import annotations

import torch
from torch import Tensor

from autodual.dual.rows import Rows
from autodual.measured import measured
from autodual.perturbations.regions.row_norms import flat_inner
from autodual.tensors import flat, readable

# Columns are left out if at most this share of them is left; copying the others takes time as well.
_MOST_KEPT = 0.9


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
    return _product(rows, rows.reading(tensor), absolute)


def inner_everywhere(rows: Rows, tensor: Tensor) -> Tensor:
    """⟨ν, t⟩ of cropped `rows` with a `tensor` `[1, C, 1, …]` that is equal at all positions: `[G or 1, K]`."""
    return _product(rows, rows.everywhere(tensor)[:, 0], absolute=False)


def _product(rows: Rows, features: Tensor, absolute: bool) -> Tensor:
    """Rows with features `[G or 1, *extent]`.

    Factored rows are never laid out: shared ones are one matrix product, whose cost does not grow with samples × rows.
    """
    base = rows.base.abs() if absolute else rows.base
    if rows.scale is not None:
        features = features * (rows.scale.abs() if absolute else rows.scale)[:, 0]
    return flat_inner(flat(base, 2), flat(features))


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
    return flat_inner(flat(values, 2), flat(features[:, 0]))


def product_of_columns(values: Tensor, matrix: Tensor) -> Tensor:
    """Rows times a matrix, without the columns of rows that are zero: those of inactive units.

    These are only looked for in a single group, since samples rarely have them in common; not where gradients are
    recorded, which may reach zeros too; and not where they cannot be seen at once, as on a GPU. Zeros that meet NaN or
    infinity stay, since their product is NaN: so it is in a run of the network, about which nothing may be proved then.

    Args:
        values: `[G, K, *, F]`.
        matrix: `[F, M]`.

    Example:
        >>> import torch
        >>> from autodual.dual.row_products import product_of_columns
        >>> product_of_columns(torch.tensor([[[0.0, 2.0]]]), torch.eye(2))
        tensor([[[0., 2.]]])
    """
    small = values.shape[0] > 1 or values.numel() * matrix.shape[1] < measured.zero_columns_work
    if small or not readable(values) or torch.is_grad_enabled():
        return values @ matrix
    # A sum of sizes is zero where all of them are, and that of weights is finite only where all of them are; reductions
    # of booleans are slow on CPUs.
    kept = (values[0].flatten(0, -2).abs().sum(0) + 0.0 * matrix.sum(1)).nonzero()[:, 0]
    if kept.shape[0] > _MOST_KEPT * matrix.shape[0]:
        return values @ matrix
    return values[..., kept] @ matrix[kept]
