"""The pixels that mass can leave: most pixels of a drawing are black, and cost nothing."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Sources:
    """The pixels that hold mass, for each of G groups of rows.

    Args:
        pixels: their places in the flattened image or window, `[G, P]`; a group that has fewer repeats one of them.
        mass: `[G, P]`, 0 where a pixel is repeated.
    """

    pixels: Tensor
    mass: Tensor

    def part(self, groups: slice) -> Sources:
        """Those of some groups."""
        if self.mass.shape[0] == 1:
            return self
        return Sources(self.pixels[groups], self.mass[groups])


def sources_of(mass: Tensor) -> Sources:
    """The sources of images or windows; all pixels where gradients reach the mass, for it may appear anywhere.

    Args:
        mass: at least 0, `[G, n]`.

    Example:
        >>> import torch
        >>> from autodual.perturbations.wasserstein.mass_sources import sources_of
        >>> found = sources_of(torch.tensor([[0.0, 0.5, 0.25], [0.0, 0.0, 1.0]]))
        >>> found.pixels, found.mass
        (tensor([[1, 2], [2, 2]]), tensor([[0.5000, 0.2500], [1.0000, 0.0000]]))
    """
    if mass.requires_grad:
        return Sources(torch.arange(mass.shape[1], device=mass.device).expand_as(mass), mass)
    present = mass > 0
    counts = present.sum(1, keepdim=True)
    pixel = present.nonzero()[:, 1]
    if pixel.shape[0] == 0:
        return Sources(torch.zeros_like(counts), mass.new_zeros(counts.shape))
    rank = torch.arange(int(counts.max()), device=mass.device)
    chosen = counts.cumsum(0) - counts + torch.minimum(rank, counts - 1).clamp(min=0)
    pixels = pixel[chosen.clamp(max=pixel.shape[0] - 1)]
    return Sources(pixels, mass.gather(1, pixels) * (rank < counts))
