"""How a region's tensors are lined up with rows of cotangents: a region knows nothing of windows or owners but this."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor
from torch.nn import functional


class View(Protocol):
    """Lines a region's N samples up with rows `[G, K, *extent]` on (a part of) the input.

    G groups of K rows belong to one sample each; `extent` is a window of the input's shape. Groups, their samples and
    the windows' origins are the business of whoever makes the view.
    """

    def features(self, values: Tensor) -> Tensor:
        """Per-feature values `[N, *shape]` as `[G or 1, 1, *extent]`, zero where a window leaves the input."""
        ...

    def around(self, values: Tensor, margin: Sequence[int]) -> Tensor:
        """The same of a larger window, with `margin` more entries on either side of each axis but the first.

        For sets whose answer to rows over a window depends on the input beside the window. Zero outside the input;
        `around` of ones tells where that is.
        """
        ...

    def samples(self, values: Tensor) -> Tensor:
        """Per-sample values `[N]` as `[G or 1, 1]`."""
        ...


@dataclass(frozen=True)
class WholeView:
    """Group g belongs to sample g and sees its whole input: G = N and extent = shape."""

    def features(self, values: Tensor) -> Tensor:
        return values.unsqueeze(1)

    def around(self, values: Tensor, margin: Sequence[int]) -> Tensor:
        return padded(values.unsqueeze(1), margin)

    def samples(self, values: Tensor) -> Tensor:
        return values.unsqueeze(1)


def padded(values: Tensor, margin: Sequence[int]) -> Tensor:
    """Values `[…, *spatial]` with so many zeros more on either side of each of the last axes, one number an axis."""
    return functional.pad(values, [size for one in reversed(margin) for size in (one, one)])
