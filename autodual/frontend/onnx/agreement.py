"""How well a loaded network agreed with ONNX' own arithmetic, as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Agreement:
    """How well a network agreed with an ONNX runtime.

    `error` is the largest difference of an output over the largest output, on the `samples` inputs that were compared
    (`excused` more differed, in a network with jumps, where rounding may decide); `tolerance` is what was allowed:
    1e-4, or up to 1e-2 where rounding alone moves the outputs that far, or where the file computes in half precision.
    """

    runtime: str
    samples: int
    error: float
    tolerance: float
    excused: int = 0
