"""How a region's tensors are aligned with rows of cotangents: all that a region knows of windows and owners."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from torch import Tensor
from torch.nn import functional


class View(Protocol):
    """Aligns a region's N samples with rows `[G, K, *extent]` over the input or a window of it.

    Each of the G groups of K rows belongs to one sample; `extent` is the shape of the window. The maker of the view
    chooses the groups, their samples and the windows' origins.
    """

    @property
    def whole(self) -> bool:
        """Whether rows cover the whole input."""
        ...

    def features(self, values: Tensor) -> Tensor:
        """The features of each group `[G or 1, 1, *extent]`, zero where a window lies outside the input.

        Args:
            values: per feature, `[N, *shape]`.
        """
        ...

    def around(self, values: Tensor, margin: Sequence[int]) -> Tensor:
        """`features` over a larger window, with `margin` more entries on either side of each axis except the first.

        For sets whose extremes over a window depend on the input around it. Zero outside the input, so `around` of a
        tensor of ones is a mask of the input.

        Args:
            values: per feature, `[N, *shape]`.
            margin: one number for each axis of `shape` except the first.
        """
        ...

    def samples(self, values: Tensor) -> Tensor:
        """The sample's values for each group, `[G or 1, 1, *]`.

        Args:
            values: per sample, `[N, *]`.
        """
        ...


@dataclass(frozen=True)
class WholeView:
    """Group g belongs to sample g and covers its whole input: G = N and extent = shape.

    Example:
        >>> import autodual, torch
        >>> from autodual.perturbations import WholeView
        >>> region = autodual.LinfBall(0.5).at(torch.tensor([[1.0, 2.0]]))
        >>> region.extremes(torch.tensor([[[1.0, -1.0]]]), WholeView())
        (tensor([[-2.]]), tensor([[0.]]))
    """

    whole: ClassVar[bool] = True

    def features(self, values: Tensor) -> Tensor:
        """`values` `[N, *shape]` as `[N, 1, *shape]`."""
        return values.unsqueeze(1)

    def around(self, values: Tensor, margin: Sequence[int]) -> Tensor:
        """`values` as by `features`, padded by `margin` zeros on either side of each axis except the first."""
        return padded(values.unsqueeze(1), margin)

    def samples(self, values: Tensor) -> Tensor:
        """`values` `[N, *]` as `[N, 1, *]`."""
        return values.unsqueeze(1)


def padded(values: Tensor, margin: Sequence[int]) -> Tensor:
    """Values `[…, *spatial]` with `margin[i]` zeros added on either side of the i-th of the last `len(margin)` axes."""
    return functional.pad(values, [size for one in reversed(margin) for size in (one, one)])
