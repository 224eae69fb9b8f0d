"""What a broken contract is reported as: the property, by how much, and over which interval."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from autodual.errors import AutodualError
from autodual.interval import Interval
from autodual.testing.sample_axes import flat

# Intervals of one sample that a message lists before it says how many more there are.
_SHOWN = 6
# Bounds beyond which an interval is named only where nothing smaller breaks.
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

    Where all bounds have the shape of `excess` the one interval there is named, else all of that sample; likewise the
    points `[N, …]`. NaN does not raise: what is no number claims nothing (`require_all` says where it must not be).
    """
    excess = excess.detach()
    if not bool((excess > 0).any()):
        return
    # Somewhere ordinary, if it is broken there, tells more than the limits of arithmetic.
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
    """Raise DualRuleError where `holds` `[N, …]`, bool, is false somewhere."""
    if bool(holds.all()):
        return
    place = tuple(int(i) for i in torch.unravel_index((~holds).to(torch.uint8).argmax(), holds.shape))
    where = f" over {_intervals(bounds, place, holds.shape)}" if bounds else ""
    raise DualRuleError(f"{subject}: {broken}{where}")


def _ordinary(bounds: Sequence[Interval], excess: Tensor) -> Tensor:
    """Where no interval of the place, or of its sample, is large: bool, of the shape of `excess`."""
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
