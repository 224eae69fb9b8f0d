"""Advice on the axes of data that a network does not accept."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from autodual.errors import InvalidInputError

# An axis longer than this counts samples rather than channels or rows.
_MOST_CHANNELS = 1024


def advice(run: Callable[[Tensor], object], x: Tensor) -> str:
    """Advice if the network accepts samples x `[N, *shape]` with other axes; `run` raises for axes that it refuses.

    Empty if none of the usual mistakes explains the failure.
    """

    def accepted(samples: Tensor) -> bool:
        try:
            run(samples)
        except InvalidInputError:
            return False
        return True

    if len(x) <= _MOST_CHANNELS and accepted(x[None]):
        return f" The data look like one sample without the axis that counts samples: store it as {[1, *x.shape]}."
    if x.dim() == 4 and accepted(x[:2].movedim(-1, 1)):
        return " The channels seem to come last: store images as [N, channels, height, width]."
    return ""
