"""Upper bounds of spectral norms that hold to the last digit; power iteration gives lower bounds, which prove nothing.

For symmetric M, ‖M‖₂² = ‖M²‖₂, and ‖M‖₂ is at most the Frobenius norm. So of A, ‖A‖₂ ≤ ‖(AAᵀ)^(2^k)‖_F^(1/2^(k+1)),
which tends to ‖A‖₂ as k grows: an n × n matrix is off by a factor of at most n^(1/2^(k+2)).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

# How often a Gram matrix is squared; a hundred rows are off by less than a hundredth then.
_SQUARINGS = 6
#: The most coefficients of a matrix whose norm is computed.
NORM_ENTRIES = 4_000_000
# The most numbers of matrices with different columns at once.
_ENTRIES = 8_000_000


def spectral_norm_bound(matrices: Tensor, error: Tensor | float = 0.0) -> Tensor:
    """Numbers not below the spectral norms of real matrices, rounding included.

    Args:
        matrices: `[*, m, n]`; computed with in float64.
        error: at most how far, in the Frobenius norm, each of them is from the matrix that is meant, `[*]`.

    Returns:
        `[*]`, float64.

    Example:
        >>> import torch
        >>> from autodual.dual import spectral_norm_bound
        >>> found = spectral_norm_bound(torch.tensor([[3.0, 0.0], [0.0, 4.0]]))
        >>> bool(4 <= found < 4.001)
        True
    """
    matrices = matrices.double()
    if matrices.shape[-2] > matrices.shape[-1]:
        matrices = matrices.mT
    size = frobenius_norm(matrices)
    scale = torch.where(size > 0, size, 1.0)  # of numbers that would underflow when squared
    unit = matrices / scale[..., None, None]
    longest = max(matrices.shape[-2:])
    # Of a product of n × n matrices, whose sums have n terms; then symmetrising, and dividing by the norm.
    rounding = 2 * (longest + 16) * torch.finfo(torch.float64).eps
    found = _norm_of_square(unit @ unit.mT, rounding, _SQUARINGS)
    # The Gram matrix is off by as much, relative to the squared Frobenius norm, which is 1.
    return (scale * (found + rounding).sqrt() * (1 + rounding) + error).nan_to_num(torch.inf)


def masked_norm(matrix: Tensor, columns: Tensor, error: float = 0.0) -> Tensor:
    """At least the spectral norms of a matrix restricted to some of its columns, `[N]`, float64.

    Args:
        matrix: `[m, n]`, each entry off by at most `error` times itself.
        columns: which are left, bool `[N, n]`.
        error: see `matrix`.
    """
    matrix = matrix.double()
    off = error * frobenius_norm(matrix)
    if bool(columns.all()):
        return spectral_norm_bound(matrix, off).expand(columns.shape[0])
    some = max(1, _ENTRIES // max(1, matrix.numel()))
    return torch.cat([spectral_norm_bound(matrix * part.unsqueeze(1), off) for part in columns.split(some)])


def _norm_of_square(gram: Tensor, rounding: float, squarings: int) -> Tensor:
    """At least the spectral norm of symmetric matrices `[*, m, m]`, given to within rounding of a unit norm."""
    symmetric = (gram + gram.mT) / 2
    size = frobenius_norm(symmetric)
    if squarings == 0:
        return size
    scale = torch.where(size > 0, size, 1.0)
    unit = symmetric / scale[..., None, None]
    return scale * (_norm_of_square(unit @ unit, rounding, squarings - 1) + rounding).sqrt()


def frobenius_norm(matrices: Tensor) -> Tensor:
    """`[*]` of matrices `[*, m, n]`, not below the norm; NaN for matrices that are not finite."""
    size = torch.linalg.matrix_norm(matrices)
    entries = matrices.shape[-1] * matrices.shape[-2]
    return size * (1 + (entries + 16) * torch.finfo(matrices.dtype).eps) + math.sqrt(
        entries * torch.finfo(matrices.dtype).tiny
    )
