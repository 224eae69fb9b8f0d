"""Between a node's whole extent and the windows of it: patches cut out, and patches laid out again."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as functional
from torch import Tensor

from autodual.dual.row_windows import Window


def patches(tensor: Tensor, window: Window, spatial: Sequence[int], owner: Tensor) -> Tensor:
    """Every group's window of a tensor, zero outside it.

    Args:
        tensor: `[N, C, *size]`.
        window: of G groups.
        spatial: the windows' size along each axis.
        owner: the sample of each group, `[G]`, long.

    Returns:
        `[G, C, *spatial]`.

    Example:
        >>> import torch
        >>> from autodual.dual import Window
        >>> from autodual.dual.window_patches import patches
        >>> window = Window(torch.tensor([[0], [2]]), (1,), (-1,), (3,))
        >>> patches(torch.tensor([[[1.0, 2.0, 3.0]]]), window, (2,), torch.tensor([0, 0]))
        tensor([[[0., 1.]],
        <BLANKLINE>
                [[2., 3.]]])
    """
    assert window.position is not None, "these windows have no positions yet"
    padding: list[int] = []
    for stride, within, shift, extent, size in reversed(
        list(zip(window.stride, window.within, window.shift, spatial, tensor.shape[2:]))
    ):
        # Negative padding crops: for windows that start inside the node.
        padding += [-shift, stride * (within - 1) + shift + extent - size]
    view = _padded(tensor, padding) if any(padding) else tensor
    return _cut(view, owner, window.position * window.position.new_tensor(window.stride), spatial)


def _cut(tensor: Tensor, owner: Tensor, corner: Tensor, extent: Sequence[int]) -> Tensor:
    """Patches `[G, C, *extent]` of a tensor `[N, C, *spatial]`, in which they lie, from their first corners `[G, d]`.

    They are copied in runs along the last axis. To gather single scalars, or to lay out all windows, takes two to four
    times as long.
    """
    tensor = tensor.contiguous()
    of_sample, of_channel, *steps = tensor.stride()
    start = owner * of_sample + (corner * corner.new_tensor(steps)).sum(1)
    within = torch.arange(tensor.shape[1], device=owner.device) * of_channel
    for size, step in zip(extent[:-1], steps):
        within = (within.unsqueeze(1) + torch.arange(size, device=owner.device) * step).flatten()
    # A run from every scalar; those that would go on in the next row are never read.
    runs = tensor.view(-1).unfold(0, extent[-1], 1)
    found = runs.index_select(0, (start.unsqueeze(1) + within).flatten())
    return found.reshape(owner.shape[0], tensor.shape[1], *extent)


def laid_out(values: Tensor, window: Window, shape: tuple[int, ...]) -> Tensor:
    """Rows over a node's whole extent, zero outside their windows; what a window holds outside the node is dropped.

    Args:
        values: `[G or 1, K, C, *spatial]`.
        window: of G groups.
        shape: of the node, `(C, *size)`.

    Returns:
        `[G, K, *shape]`.
    """
    index = _cells(window.origin, values.shape[3:], shape[1:])
    groups, rows, channels, cells = index.shape[0], *values.shape[1:3], torch.Size(shape[1:]).numel()
    flat = values.flatten(3).expand(groups, rows, channels, -1)
    canvas = flat.new_zeros(groups, rows, channels, cells + 1)
    canvas = canvas.scatter(3, index[:, None, None, :].expand_as(flat), flat)
    return canvas[..., :cells].reshape(groups, rows, *shape)


def _cells(origin: Tensor, spatial: Sequence[int], size: Sequence[int]) -> Tensor:
    """Flat positions in a node of this size of the entries of patches, `[G, prod spatial]`; outside it that of one
    extra cell behind the others.
    """
    index = origin.new_zeros((origin.shape[0],) + (1,) * len(size))
    inside = torch.ones_like(index, dtype=torch.bool)
    for axis, extent in enumerate(spatial):
        shape = [1] * index.dim()
        shape[axis + 1] = extent
        steps = torch.arange(extent, device=index.device).view(shape)
        place = origin[:, axis].view(-1, *([1] * len(size))) + steps
        inside = inside & (place >= 0) & (place < size[axis])
        index = index * size[axis] + place
    return torch.where(inside, index, torch.Size(size).numel()).flatten(1)


def _padded(tensor: Tensor, padding: list[int]) -> Tensor:
    """`functional.pad` that may also crop more than there is before it pads: for windows all outside the node."""
    if min(padding) >= 0:
        return functional.pad(tensor, padding)
    wider = functional.pad(tensor, [max(0, pad) for pad in padding])
    return functional.pad(wider, [min(0, pad) for pad in padding])
