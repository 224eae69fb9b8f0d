"""Upper bounds of spectral norms that hold to the last digit; power iteration gives lower bounds, which prove nothing.

Of a Gram matrix G = AAᵀ, ‖A‖₂² ≤ θ if and only if θI - G has no negative eigenvalue. Power iteration guesses θ, and a
Cholesky factorisation proves it: where it runs to its end on a matrix M in floating point, no eigenvalue of M is below
-γ tr M (Rump, *Verification of positive definiteness*, 2006).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

# Products with the matrix to guess its norm, by how much the guess is raised before its first and before later proofs,
# and how many are tried.
_PRODUCTS, _ROOM, _RAISE, _TRIALS = 24, 1.002, 1.02, 40
#: The most coefficients of a matrix whose norm is computed.
NORM_ENTRIES = 4_000_000
# The most numbers of matrices with different columns at once.
_ENTRIES = 8_000_000


def spectral_norm_bound(matrices: Tensor, error: Tensor | float = 0.0) -> Tensor:
    """Numbers not below the spectral norms of real matrices, rounding included, and hardly above them.

    Args:
        matrices: `[*, m, n]`; computed with in float64.
        error: at most how far, in the Frobenius norm, each of them is from the matrix that is meant, `[*]`.

    Returns:
        `[*]`, float64, infinite for matrices that are not finite. No gradients flow to them.

    Example:
        >>> import torch
        >>> from autodual.dual import spectral_norm_bound
        >>> found = spectral_norm_bound(torch.tensor([[3.0, 0.0], [0.0, 4.0]]))
        >>> bool(4 <= found < 4.01)
        True
    """
    matrices = matrices.detach().double()
    if matrices.shape[-2] > matrices.shape[-1]:
        matrices = matrices.mT
    size = frobenius_norm(matrices)
    unit = matrices / torch.where(size > 0, size, 1.0)[..., None, None]  # squares of tiny numbers would underflow
    # The Gram matrix is off by that, relative to the squared Frobenius norm, which is 1 now.
    rounding = 2 * (matrices.shape[-1] + 16) * torch.finfo(torch.float64).eps
    root = (largest_eigenvalue_bound(unit @ unit.mT) + rounding).sqrt() * (1 + rounding)
    return (size * root + error).nan_to_num(torch.inf, torch.inf)


def largest_eigenvalue_bound(gram: Tensor) -> Tensor:
    """At least the largest eigenvalues of symmetric matrices `[*, m, m]` without negative ones: `[*]`, float64.

    Args:
        gram: each equal to its transpose but for rounding.
    """
    gram = (gram + gram.mT) / 2
    finite = gram.isfinite().flatten(-2).all(-1)
    gram = torch.where(finite[..., None, None], gram, 0.0)
    size = frobenius_norm(gram)  # which is no smaller than any eigenvalue
    slack = 4 * (gram.shape[-1] + 16) * torch.finfo(torch.float64).eps
    found, guess = size, _guess(gram) * _ROOM
    proved = torch.zeros_like(finite)
    identity = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
    for _ in range(_TRIALS):
        guess = guess.minimum(size)
        shifted = guess[..., None, None] * identity - gram
        runs = torch.linalg.cholesky_ex(shifted).info == 0
        # Of the trace of what was factorised, and of subtracting the matrix from its multiple of the identity.
        owed = slack * (shifted.diagonal(dim1=-2, dim2=-1).sum(-1).abs() + guess + size)
        found = torch.where(runs & ~proved, (guess + owed).minimum(size), found)
        proved = proved | runs
        if bool((proved | (guess >= size)).all()):
            break
        guess = torch.where(proved, guess, guess * _RAISE)
    return torch.where(finite, found, torch.inf)


def _guess(gram: Tensor) -> Tensor:
    """About the largest eigenvalue, `[*]`, by power iteration from the columns' lengths."""
    vector = torch.linalg.vector_norm(gram, dim=-1, keepdim=True)
    for _ in range(_PRODUCTS):
        vector = gram @ (vector / torch.linalg.vector_norm(vector, dim=-2, keepdim=True).clamp(min=1e-300))
    return torch.linalg.vector_norm(vector, dim=(-2, -1))


def masked_norm(matrix: Tensor, columns: Tensor, error: float = 0.0) -> Tensor:
    """At least the spectral norms of a matrix restricted to some of its columns, `[N]`, float64.

    Args:
        matrix: `[m, n]`, each entry off by at most `error` times itself.
        columns: which are left, bool `[N, n]`.
        error: see `matrix`.
    """
    matrix = matrix.detach().double()
    off = error * frobenius_norm(matrix)
    if bool(columns.all()):
        return spectral_norm_bound(matrix, off).expand(columns.shape[0])
    some = max(1, _ENTRIES // max(1, matrix.numel()))
    return torch.cat([spectral_norm_bound(matrix * part.unsqueeze(1), off) for part in columns.split(some)])


def frobenius_norm(matrices: Tensor) -> Tensor:
    """`[*]` of `matrices` `[*, m, n]`, not below the norm; NaN or infinite for matrices that are not finite."""
    size = torch.linalg.matrix_norm(matrices)
    limits, entries = torch.finfo(matrices.dtype), matrices.shape[-1] * matrices.shape[-2]
    return size * (1 + (entries + 16) * limits.eps) + math.sqrt(entries * limits.tiny)
