"""Where mass may move, and what that costs: the offsets of a local transport plan, in rings of equal cost."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Moves:
    """The moves of a local transport plan: from a pixel to those of the window × window pixels around it.

    A move by (a, b) pixels costs (a² + b²)^(power / 2) for each unit of mass. Targets outside the image do not exist.

    Args:
        window: an odd number of pixels, at least 1.
        power: of the Euclidean distance, positive.

    Example:
        >>> from autodual.perturbations.wasserstein.moves import Moves
        >>> [(round(ring.cost, 3), len(ring.offsets)) for ring in Moves(5).rings]
        [(0.0, 1), (1.0, 4), (1.414, 4), (2.0, 4), (2.236, 8), (2.828, 4)]
    """

    window: int
    power: float = 1.0

    @property
    def reach(self) -> int:
        """How many pixels mass moves at most, along each axis."""
        return self.window // 2

    @cached_property
    def rings(self) -> tuple[Ring, ...]:
        """All offsets by their cost, the cheapest first: staying, which costs nothing."""
        span = range(-self.reach, self.reach + 1)
        by_cost = sorted((self._cost(a * a + b * b), a, b) for a in span for b in span)
        # Powers near 0 make different distances cost the same.
        return tuple(
            Ring(cost, tuple((a, b) for _, a, b in moves)) for cost, moves in groupby(by_cost, key=lambda move: move[0])
        )

    def _cost(self, square: int) -> float:
        """Of a move, from the square of its distance."""
        return square ** (self.power / 2) if square else 0.0


@dataclass(frozen=True)
class Ring:
    """The offsets (rows down, columns right) of one cost per unit of mass."""

    cost: float
    offsets: tuple[tuple[int, int], ...]


def at_targets(values: Tensor, offset: tuple[int, int], reach: int, outside: float) -> Tensor:
    """The value at each pixel's target: `found[…, r, c] = values[…, r + a, c + b]` for the offset (a, b).

    Args:
        values: `[*, H, W]`.
        offset: (a, b), neither more than `reach` in size.
        reach: how far the values are padded.
        outside: the value of targets outside the image.

    Returns:
        `[*, H, W]`.

    Example:
        >>> import torch
        >>> from autodual.perturbations.wasserstein.moves import at_targets
        >>> at_targets(torch.tensor([[1.0, 2.0, 3.0]]), (0, 1), 1, 0.0)
        tensor([[2., 3., 0.]])
    """
    padded = functional.pad(values, (reach,) * 4, value=outside)
    return padded[..., reach + offset[0] :, reach + offset[1] :][..., : values.shape[-2], : values.shape[-1]]
