"""What an operand of an ONNX operator can be: a value that depends on the input, a constant, or unknown.

Every value keeps its ONNX shape. In the graph, whose shapes are those of one sample, it is stored without a leading
axis of extent 1 where it has one and more axes besides: what ONNX writes as a batch of one image is one image there,
and convolutions and elementwise operations need no reshapes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np

from autodual.ir import Node


@dataclass(frozen=True, eq=False)
class Static:
    """A constant. initializer: the name of the file's initialiser that it is, if it was not computed from others."""

    array: np.ndarray
    initializer: str | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def dtype(self) -> np.dtype:
        return self.array.dtype


@dataclass(frozen=True, eq=False)
class Branch:
    """A value that depends on the network's input; `node` holds it in the shape `stored_shape(shape)`.

    Whole numbers and truth values (0 or 1) are held as floating ones; `dtype` says what ONNX takes them for.
    """

    node: Node
    shape: tuple[int, ...]
    dtype: np.dtype = field(default_factory=lambda: np.dtype(np.float32))

    @property
    def dropped(self) -> int:
        """How many leading axes of the ONNX shape the graph leaves out: 1 or 0."""
        return len(self.shape) - len(stored_shape(self.shape))


class Unknown:
    """The value of whatever depends on an unsupported operator."""


Value: TypeAlias = "Branch | Static"
UNKNOWN: Final = Unknown()


def stored_shape(shape: Sequence[int]) -> tuple[int, ...]:
    """The shape in the graph of a value that has `shape` in ONNX."""
    return tuple(shape[1:]) if len(shape) > 1 and shape[0] == 1 else tuple(shape)
