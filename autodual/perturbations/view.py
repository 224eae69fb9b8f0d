"""How a region's tensors are lined up with rows of cotangents: a region knows nothing of windows or owners but this."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


class View(Protocol):
    """Lines a region's N samples up with rows `[G, K, *extent]` on (a part of) the input.

    G groups of K rows belong to one sample each; `extent` is a window of the input's shape. Groups, their samples and
    the windows' origins are the business of whoever makes the view.
    """

    def features(self, values: Tensor) -> Tensor:
        """Per-feature values `[N, *shape]` as `[G or 1, 1, *extent]`, zero where a window leaves the input."""
        ...

    def samples(self, values: Tensor) -> Tensor:
        """Per-sample values `[N]` as `[G or 1, 1]`."""
        ...


@dataclass(frozen=True)
class WholeView:
    """Group g belongs to sample g and sees its whole input: G = N and extent = shape."""

    def features(self, values: Tensor) -> Tensor:
        return values.unsqueeze(1)

    def samples(self, values: Tensor) -> Tensor:
        return values.unsqueeze(1)
