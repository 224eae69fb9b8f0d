"""Reports of a broken contract: the property, by how much, and over which interval."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from autodual.errors import AutodualError
from autodual.interval import Interval
from autodual.tensors import flat

# Most intervals of one sample that a message lists; it counts the rest.
_SHOWN = 6
# Size of bounds beyond which an interval is named only if nothing smaller breaks.
_LARGE = 1e3


class DualRuleError(AutodualError, AssertionError):
    """A dual rule breaks its contract; the message names the property, the interval and by how much."""


def require(
    excess: Tensor,
    subject: str,
    broken: str,
    bounds: Sequence[Interval] = (),
    points: Sequence[Tensor] | None = None,
) -> None:
    """Raise DualRuleError where `excess` `[N, …]` is positive, and name the worst place.

    Where bounds have the shape of `excess` the message gives the one interval there, else all of that sample; likewise
    the points `[N, …]`. NaN does not raise, since it claims nothing; use `require_all` where it is not allowed.

    Args:
        excess: by how much the property is broken, `[N, …]`.
        subject: the rule and op, from `Case.subject`.
        broken: the broken property, as a clause.
        bounds: the interval `[N, *shape]` of each input.
        points: where it breaks, of each input.

    Raises:
        DualRuleError: some entry of `excess` is positive.
    """
    excess = excess.detach()
    if not bool((excess > 0).any()):
        return
    # A failure over ordinary intervals tells more than one at the limits of arithmetic.
    usual = excess.masked_fill(~_ordinary(bounds, excess), -torch.inf)
    excess = usual if bool((usual > 0).any()) else excess
    place = tuple(int(i) for i in torch.unravel_index(excess.nan_to_num(nan=-torch.inf).argmax(), excess.shape))
    message = f"{subject}: {broken}, by {float(excess[place]):.4g}"
    if bounds:
        message += f" over {_intervals(bounds, place, excess.shape)}"
    if points:
        message += f" at {_values(points, place, excess.shape)}"
    raise DualRuleError(message)


def require_all(holds: Tensor, subject: str, broken: str, bounds: Sequence[Interval] = ()) -> None:
    """Raise DualRuleError of `subject` and `broken`, over its `bounds`, if some entry of `holds` `[N, …]` is false."""
    if bool(holds.all()):
        return
    place = tuple(int(i) for i in torch.unravel_index((~holds).to(torch.uint8).argmax(), holds.shape))
    where = f" over {_intervals(bounds, place, holds.shape)}" if bounds else ""
    raise DualRuleError(f"{subject}: {broken}{where}")


def _ordinary(bounds: Sequence[Interval], excess: Tensor) -> Tensor:
    """Mask of the shape of `excess`: where no interval of that place, or of its sample, is large."""
    found = torch.ones_like(excess, dtype=torch.bool)
    for bound in bounds:
        small = bound.magnitude.detach() <= _LARGE
        if small.shape != excess.shape:
            small = flat(small, 1).all(1).reshape(-1, *[1] * (excess.dim() - 1))
        found = found & small
    return found


def _at(tensor: Tensor, place: tuple[int, ...], shape: torch.Size) -> list[float]:
    if tensor.shape == shape:
        return [float(tensor[place])]
    return [float(value) for value in tensor[place[0] if tensor.shape[0] > 1 else 0].flatten()]


def _intervals(bounds: Sequence[Interval], place: tuple[int, ...], shape: torch.Size) -> str:
    shown = [
        f"[{low!r}, {high!r}]"
        for bound in bounds
        for low, high in zip(_at(bound.lower, place, shape), _at(bound.upper, place, shape))
    ]
    return _listed(shown, " × ")


def _values(points: Sequence[Tensor], place: tuple[int, ...], shape: torch.Size) -> str:
    return _listed([repr(value) for point in points for value in _at(point, place, shape)], ", ")


def _listed(items: Sequence[str], separator: str) -> str:
    more = len(items) - _SHOWN
    return separator.join(items[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
