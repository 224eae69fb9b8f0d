"""Upper bounds of the spectral norm of convolutions of any size, from their kernels alone.

Zero padding and the cut at the border only drop rows and columns of a convolution on a torus that is large enough, and
dropping them never raises a norm. On a torus the convolution is a diagonal of blocks, one a frequency ω, which are

    K(ω)[o, (r, i)] = Σ_q e^(i⟨ω, q⟩) kernel[o, i, s q + r]        for the residues r < s of a stride s.

So its norm is the largest ‖K(ω)‖₂ of any ω. Between the points of a grid of M frequencies an axis, a trigonometric
polynomial with the powers 0 … d is at most 1 / cos(π d / 2M) times its largest value on the grid (after M. Riesz).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from typing import Any

import torch
import torch.nn.functional as functional
from torch import Tensor

from autodual.dual.spectral_norm import frobenius_norm, spectral_norm_bound
from autodual.dual.transpose import Geometry

# The most frequencies an axis. With 16 of them, 3 × 3 kernels are off by at most a twentieth.
_FREQUENCIES = 16
# The most multiplications for one product of all frequencies' matrices.
_MULTIPLICATIONS = 5e8
# The most numbers to transform at once.
_ENTRIES = 4_000_000


def torus_norm(weight: Tensor, geometry: Geometry, outputs: Sequence[int]) -> Tensor:
    """At least the norm of a convolution, whatever its padding: a number, float64; infinite where that is too costly.

    Args:
        weight: `[out, in of a group, *kernel]`, float64.
        geometry: its stride, dilation and groups.
        outputs: the spatial size of the output.
    """
    taps = _by_residue(weight, geometry.stride, geometry.dilation)
    counts, factor, grids = taps.shape[2 + len(geometry.stride) :], 1.0, []
    for count, size in zip(counts, outputs):
        needed = size - 1 + count  # a torus of so many outputs holds all that is read
        grid = min(needed, _FREQUENCIES * max(1, (count - 1) // 2))
        if grid < needed:
            factor /= math.cos(math.pi * (count - 1) / (2 * grid))
        grids.append(grid)
    rows = (
        taps.flatten(-len(counts)).flatten(1, -2).unflatten(0, (geometry.groups, -1))
    )  # [groups, out, residues × in, taps]
    waves = _waves(counts, grids, rows)
    if waves.shape[1] * geometry.groups * (2 * min(rows.shape[1:3])) ** 3 > _MULTIPLICATIONS:
        return rows.new_full((), torch.inf)
    some = max(1, _ENTRIES // (4 * rows[..., 0].numel()))
    largest = torch.stack([_largest(rows, part) for part in waves.split(some, 1)]).amax()
    return largest * factor * (1 + 16 * torch.finfo(rows.dtype).eps)


def _by_residue(weight: Tensor, stride: Sequence[int], dilation: Sequence[int]) -> Tensor:
    """Taps at s q + r, `[out, in, *residues r, *counts of q]`; zero where the kernel has none."""
    axes = len(stride)
    extents = [(size - 1) * step + 1 for size, step in zip(weight.shape[2:], dilation)]
    wide = weight.new_zeros(*weight.shape[:2], *extents)
    here: tuple[Any, ...] = (..., *(slice(None, None, step) for step in dilation))
    wide[here] = weight
    padding = [0, 0] * axes
    for axis, (extent, step) in enumerate(zip(extents, stride)):
        padding[2 * (axes - 1 - axis) + 1] = -extent % step
    wide = functional.pad(wide, padding)
    for axis, step in enumerate(stride):
        wide = wide.unflatten(2 + 2 * axis, (-1, step))
    return wide.permute(0, 1, *(3 + 2 * axis for axis in range(axes)), *(2 + 2 * axis for axis in range(axes)))


def _waves(counts: Sequence[int], grids: Sequence[int], like: Tensor) -> Tensor:
    """Angles ⟨ω, q⟩ `[taps, frequencies]`, each reduced to a turn."""
    places = torch.tensor(list(product(*map(range, counts))), device=like.device)
    # Kernels are real, so that a frequency and its opposite have one norm: half of them will do.
    halves = (grids[0] // 2 + 1, *grids[1:])
    numbers = torch.tensor(list(product(*map(range, halves))), device=like.device)
    turns = like.new_zeros(len(places), len(numbers))
    for axis, grid in enumerate(grids):
        turns = turns + (places[:, axis, None] * numbers[None, :, axis] % grid) / grid
    return 2 * math.pi * turns


def _largest(rows: Tensor, angles: Tensor) -> Tensor:
    """The largest norm over frequencies of Σ_q rows[…, q] e^(i angles[q, ω])."""
    real, imaginary = (torch.einsum("goiq,qw->wgoi", rows, function(angles)) for function in (torch.cos, torch.sin))
    # As a real matrix of twice the size, with the same norm.
    blocks = torch.cat([torch.cat([real, -imaginary], 3), torch.cat([imaginary, real], 3)], 2)
    rounding = 4 * (rows.shape[3] + 16) * torch.finfo(rows.dtype).eps
    return spectral_norm_bound(blocks, 2 * rounding * frobenius_norm(rows.abs().sum(3))).amax()
