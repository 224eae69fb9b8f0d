"""Maxima over windows."""

from __future__ import annotations

from collections.abc import Sequence

from autodual.frontend.compositions.arithmetic import maximum
from autodual.frontend.compositions.emitter import Emitter
from autodual.frontend.compositions.indexing import picked
from autodual.ir import Node


def max_pool(
    builder: Emitter,
    x: Node,
    kernel: Sequence[int],
    stride: Sequence[int],
    before: Sequence[int],
    dilation: Sequence[int],
    size: Sequence[int],
) -> Node:
    """The maximum over windows of the last axes of x; `size` is the result's, windows start `before` the first entry.

    One branch each place in the window. Where a place of some window lies outside x, another one of the same window
    stands in for it, which changes no maximum.
    """
    spatial = x.shape[len(x.shape) - len(kernel) :]
    geometries = zip(kernel, stride, before, dilation, size, strict=True)
    places = [_window_places(extent, *geometry) for extent, geometry in zip(spatial, geometries, strict=True)]
    return _window_maximum(builder, x, places)


def adaptive_maximum(builder: Emitter, x: Node, size: Sequence[int]) -> Node:
    """The maximum over `size` windows of the last axes; their lengths differ by at most one, and they may overlap."""
    places = []
    for extent, windows in zip(x.shape[len(x.shape) - len(size) :], size, strict=True):
        limits = [(w * extent // windows, -(-(w + 1) * extent // windows)) for w in range(windows)]
        longest = max(stop - start for start, stop in limits)
        # Where a window is shorter than others, its last entry is read again.
        places.append([[min(start + place, stop - 1) for start, stop in limits] for place in range(longest)])
    return _window_maximum(builder, x, places)


def _window_maximum(builder: Emitter, x: Node, places: Sequence[list[list[int]]]) -> Node:
    """The maximum of one branch for each combination of places in the windows of the last axes."""
    leading = x.shape[: len(x.shape) - len(places)]
    branches = [x]
    for axis, windows in enumerate(places):
        at = len(leading) + axis
        branches = [picked(builder, branch, at, along) for branch in branches for along in windows]
    return maximum(builder, *branches)


def _window_places(extent: int, kernel: int, stride: int, before: int, dilation: int, size: int) -> list[list[int]]:
    """For each place in a window, the entry that each window reads there; outside x an entry inside stands in."""
    starts = [window * stride - before for window in range(size)]
    # The first and the last place of each window that is inside.
    ends = [(max(0, -(start // dilation)), min(kernel - 1, (extent - 1 - start) // dilation)) for start in starts]
    return [
        [start + min(max(place, first), last) * dilation for start, (first, last) in zip(starts, ends, strict=True)]
        for place in range(kernel)
    ]
