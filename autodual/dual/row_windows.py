"""Where groups of rows lie: the window of a node that each covers, and the samples and positions they began at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Window:
    """Where each group's patch lies: its first spatial corner is `position · stride + shift`, possibly outside the
    node.

    `stride` and `shift` are the same for all groups, so that windows reached along different branches can be compared
    without looking at data.

    Args:
        position: where the rows started, `[G, d]`; None while rows are still shared by all positions.
        stride: steps of the node per step of `position`, along each of the d spatial axes.
        shift: the first corner of the patch whose `position` is 0.
        within: the largest `position` along each axis, plus one.

    Example:
        >>> import torch
        >>> from autodual.dual import Window
        >>> window = Window(torch.tensor([[0, 1]]), (1, 1), (0, 0), (4, 4))
        >>> window.moved(stride=(2, 2), padding=(1, 1)).origin  # through a convolution
        tensor([[-1,  1]])
    """

    position: Tensor | None
    stride: tuple[int, ...]
    shift: tuple[int, ...]
    within: tuple[int, ...]

    @property
    def origin(self) -> Tensor:
        """First corner of each group's patch, `[G, d]`, long."""
        assert self.position is not None, "these windows have no positions yet"
        stride = self.position.new_tensor(self.stride)
        return self.position * stride + self.position.new_tensor(self.shift)

    def moved(self, stride: Sequence[int], padding: Sequence[int]) -> Window:
        """The window after a convolution's transpose: origin · `stride` - `padding`, one entry a spatial axis each."""
        return replace(
            self,
            stride=tuple(a * b for a, b in zip(self.stride, stride, strict=True)),
            shift=tuple(a * b - p for a, b, p in zip(self.shift, stride, padding, strict=True)),
        )

    def wider(self, extent: Sequence[int], margin: Sequence[int]) -> tuple[Window, tuple[int, ...]]:
        """The window with `margin` more entries on either side of each spatial axis, and its spatial size, which was
        `extent`.
        """
        shift = tuple(shift - more for shift, more in zip(self.shift, margin, strict=True))
        return replace(self, shift=shift), tuple(size + 2 * more for size, more in zip(extent, margin, strict=True))

    def keeps_distance(self, other: Window) -> bool:
        """Whether this window is as far from the `other` one in every group, as can be told without looking at data."""
        return self.position is other.position and self.stride == other.stride

    def union(
        self, extent: Sequence[int], other: Window, other_extent: Sequence[int]
    ) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The least windows that hold these and others: where their first corner is, and the one after their last.

        Args:
            extent: the spatial size of these windows.
            other: windows that keep their distance from these.
            other_extent: their spatial size.
        """
        low = tuple(min(a, b) for a, b in zip(self.shift, other.shift, strict=True))
        ends = zip(self.shift, extent, other.shift, other_extent, strict=True)
        return low, tuple(max(a + size, b + other_size) for a, size, b, other_size in ends)

    def overhang(self, extent: Sequence[int], shape: Sequence[int]) -> bool:
        """Whether some patch of spatial size `extent` may reach outside a node of spatial size `shape`."""
        last = [s * (w - 1) + o for s, w, o in zip(self.stride, self.within, self.shift, strict=True)]
        return any(o < 0 for o in self.shift) or any(
            first + e > size for first, e, size in zip(last, extent, shape, strict=True)
        )


@dataclass(frozen=True, eq=False)
class Place:
    """The samples and positions of groups of rows.

    Args:
        owner: the sample of each group, `[G]`, long.
        span: first and last sample (excluded) among which all owners are.
        position: where windowed rows start, `[G, d]`.
        consecutive: whether the owners are all samples of the span, in order.

    Example:
        >>> import torch
        >>> from autodual.dual import Place, Rows
        >>> shared = Rows(torch.tensor([[[1.0, 2.0]]]), (2,))
        >>> shared.placed(Place(torch.tensor([0, 3]), (0, 4))).owner
        tensor([0, 3])
    """

    owner: Tensor
    span: tuple[int, int]
    position: Tensor | None = None
    consecutive: bool = False
