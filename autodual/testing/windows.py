"""Windowed rows must give the same results as whole rows, at borders too, in every layer that accepts them."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor

from autodual.bounds.rounding.error_factor import error_factor
from autodual.dual import DualLayer, Place, Rows, Window
from autodual.testing.case import Case
from autodual.testing.failure import require, require_all


def unit_windows(case: Case, shape: tuple[int, ...], samples: int) -> Rows:
    """Unit rows for every channel at every position of every sample, one group per position: `[G, C, C, 1, …]`.

    Args:
        case: gives dtype and device.
        shape: the node's sample shape `[C, *spatial]`.
        samples: the number of samples.
    """
    channels, spatial = shape[0], shape[1:]
    axes = [torch.arange(extent, device=case.device) for extent in (samples, *spatial)]
    grid = torch.cartesian_prod(*axes)
    window = Window(grid[:, 1:], (1,) * len(spatial), (0,) * len(spatial), spatial)
    base = torch.eye(channels, dtype=case.dtype, device=case.device).reshape(1, channels, channels, *[1] * len(spatial))
    base = base.expand(len(grid), *base.shape[1:])
    return Rows(base, shape, owner=grid[:, 0], span=(0, samples), window=window)


def check_windows(case: Case, layer: DualLayer, subject: str, samples: int = 2) -> None:
    """`pull` and `objective` agree with and without windows, if the layer accepts windows.

    Args:
        case: the rule and the op.
        layer: the rule's layer.
        subject: the rule and op, for messages.
        samples: the number of samples.
    """
    shape = case.node.shape
    if not layer.windowed or len(shape) < 2 or not all(shape):
        return
    windows = unit_windows(case, shape, samples)
    whole = windows.dense()
    _compare(case, layer, subject, windows, whole)
    # Patches over the border, as a later layer leaves them, hold numbers outside the node that must not count.
    assert windows.window is not None
    spatial = shape[1:]
    window = Window(windows.window.position, (1,) * len(spatial), (-1,) * len(spatial), spatial)
    base = case.normal(len(windows.base), 2, shape[0], *[3] * len(spatial), place=21)
    hanging = Rows(base, shape, owner=windows.owner, span=windows.span, window=window, cropped=False)
    _compare(case, layer, f"{subject}, windows over the border", hanging, hanging.dense())
    if layer.uniform and not layer.per_sample:
        _check_uniform(case, layer, subject, windows, whole)


def _compare(case: Case, layer: DualLayer, subject: str, windows: Rows, whole: Rows) -> None:
    for place, (pulled, expected) in enumerate(zip(layer.pull(windows), layer.pull(whole), strict=True)):
        _require_same(
            case, layer, pulled.crop().dense().values, expected.values, f"{subject}: input {place} of windowed rows"
        )
        if pulled.window is not None:
            reach = tuple(layer.reach(windows.extent[1:]))
            kept = torch.tensor(pulled.extent[1:] == reach)
            require_all(kept, subject, f"`reach` says {reach} where windows are {pulled.extent[1:]} large")
    paid, due = layer.objective(windows), layer.objective(whole)
    for part, wanted in ((paid.centre, due.centre), (paid.width, due.width)):
        require_all(
            torch.tensor((part is None) == (wanted is None)), subject, "windowed rows have another kind of objective"
        )
        if part is not None and wanted is not None:
            _require_same(case, layer, part, wanted, f"{subject}: the objective of windowed rows")


def _check_uniform(case: Case, layer: DualLayer, subject: str, windows: Rows, whole: Rows) -> None:
    """Rows that are placed after the pull are the same as rows that are placed before it."""
    assert windows.window is not None and windows.window.position is not None and windows.owner is not None
    shape = case.node.shape
    placeless = Window(None, windows.window.stride, windows.window.shift, windows.window.within)
    shared = Rows(windows.base[:1], shape, window=placeless)
    place = Place(windows.owner, windows.span or (0, 1), windows.window.position)
    for pulled, expected in zip(layer.pull(shared), layer.pull(whole), strict=True):
        placed = pulled.placed(place).crop().dense().values
        _require_same(case, layer, placed, expected.values, f"{subject}: rows placed after the pull")


def _require_same(case: Case, layer: DualLayer, found: Tensor, expected: Tensor, subject: str) -> None:
    size = prod(case.node.shape)
    room = (
        4 * error_factor(layer.terms + size, case.dtype) * float(expected.detach().abs().max())
        if expected.numel()
        else 0
    )
    require((found - expected).abs() - room, subject, "differs from the result of whole rows")
