"""Rows laid out so that the value of every pixel's target is a shift of one long vector.

Pixels of all channels and rows lie one after another, with as many empty ones between images' rows, and between
images, as mass can move. Then the greatest value within a ring of targets is the greatest of a few shifted vectors,
whatever the shape of the images, and shifts along a row are computed once for all rings.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from autodual.perturbations.wasserstein.moves import Moves


@dataclass(frozen=True)
class Canvas:
    """How images of `channels` × `height` × `width` pixels are laid out for moves of a plan.

    Example:
        >>> from autodual.perturbations.wasserstein.canvas import Canvas
        >>> from autodual.perturbations.wasserstein.moves import Moves
        >>> canvas = Canvas(1, 2, 3, Moves(3))
        >>> canvas.size, canvas.positions(torch.tensor([0, 2, 3]))
        (12, tensor([0, 2, 4]))
    """

    channels: int
    height: int
    width: int
    moves: Moves

    @classmethod
    def of(cls, rows: Tensor, moves: Moves) -> Canvas:
        """The layout of rows `[*, channels, height, width]`."""
        channels, height, width = rows.shape[-3:]
        return cls(channels, height, width, moves)

    @property
    def stride(self) -> int:
        """From a pixel to the one below."""
        return self.width + self.moves.reach

    @property
    def size(self) -> int:
        """Of one image of all channels."""
        return self.channels * (self.height + self.moves.reach) * self.stride

    @property
    def head(self) -> int:
        """Empty pixels before the first and behind the last image."""
        return self.moves.reach * (self.stride + 1)

    def positions(self, pixels: Tensor) -> Tensor:
        """Where pixels lie within their image, from their places in the flattened `[channels, height, width]`."""
        row = pixels // self.width
        above = row + row // self.height * self.moves.reach
        return above * self.stride + pixels % self.width

    def steps(self) -> Iterator[tuple[int, int]]:
        """Each move but that of staying: the number of its ring, and by how much it changes the position."""
        for number, ring in enumerate(self.moves.rings[1:], 1):
            for down, right in ring.offsets:
                yield number, down * self.stride + right

    def laid_out(self, rows: Tensor, both: bool, penalty: Tensor | None = None) -> Tensor:
        """Rows `[R, channels, height, width]` as one vector; behind them their negatives, if `both`.

        Pixels that do not exist hold a number so low that no mass would move there.

        Args:
            rows: of cotangents.
            both: whether the negatives follow.
            penalty: added to the rows, such as by `nowhere` where a pixel lies outside the image.
        """
        count = rows.shape[0] * (2 if both else 1)
        whole = torch.full(
            (2 * self.head + count * self.size,), nowhere(rows.dtype), dtype=rows.dtype, device=rows.device
        )
        shape = (count, self.channels, self.height + self.moves.reach, self.stride)
        inner = whole[self.head : self.head + count * self.size].view(shape)[..., : self.height, : self.width]
        inner[: rows.shape[0]] = rows
        if both:
            torch.neg(rows, out=inner[rows.shape[0] :])
        if penalty is not None:
            inner.view(-1, *rows.shape).add_(penalty)
        return whole

    def ring_maxima(self, whole: Tensor) -> Iterator[Tensor]:
        """The greatest value among the targets of each ring but that of staying, the cheapest first: `[R, size]` each.

        The next ring may overwrite one that has been returned.

        Args:
            whole: as `laid_out` makes it, of R images.
        """
        length, margin = whole.shape[0] - 2 * self.head, self.moves.reach * self.stride
        beside = [whole[self.moves.reach : whole.shape[0] - self.moves.reach]]
        for step in range(1, self.moves.reach + 1):
            first, last = self.moves.reach - step, whole.shape[0] - self.moves.reach
            beside.append(torch.maximum(whole[first : last - step], whole[first + 2 * step : last + step]))
        found = torch.empty(length, dtype=whole.dtype, device=whole.device)
        for ring in self.moves.rings[1:]:
            pieces = [
                beside[right][margin + down * self.stride :][:length] for down, right in ring.offsets if right >= 0
            ]
            best = pieces[0]
            for piece in pieces[1:]:
                best = torch.maximum(best, piece, out=found)
            yield best.view(-1, self.size)


def nowhere(dtype: torch.dtype) -> float:
    """A number so low that no mass would move there; differences and sums of a few are finite."""
    return torch.finfo(dtype).min / 1024
