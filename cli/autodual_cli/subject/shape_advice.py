"""What may be wrong with the axes of data that a network does not accept."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from autodual.errors import InvalidInputError

# More than this many are samples, not the channels or rows of one.
_MOST_CHANNELS = 1024


def advice(run: Callable[[Tensor], object], x: Tensor) -> str:
    """What to do where the network accepts the samples x `[N, *shape]` with other axes; `run` raises if it does not.

    Empty where none of the usual mistakes explains it.
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
