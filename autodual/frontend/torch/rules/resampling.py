"""Lowering of upsampling and other resampling of images."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as functional
from torch import Tensor

from autodual.frontend.compositions import weighed_along
from autodual.frontend.constants import Interpolating, apply
from autodual.frontend.torch.builder import Builder
from autodual.frontend.torch.registry import lowers
from autodual.ir import Node
from autodual.ir.ops import Interpolate

aten = torch.ops.aten

_NEAREST: dict[Any, str] = {
    aten.upsample_nearest1d.vec: "nearest",
    aten.upsample_nearest2d.vec: "nearest",
    aten.upsample_nearest3d.vec: "nearest",
    aten._upsample_nearest_exact1d.vec: "nearest-exact",
    aten._upsample_nearest_exact2d.vec: "nearest-exact",
    aten._upsample_nearest_exact3d.vec: "nearest-exact",
}
_LINEAR: dict[Any, str] = {
    aten.upsample_linear1d.vec: "linear",
    aten.upsample_bilinear2d.vec: "bilinear",
    aten.upsample_trilinear3d.vec: "trilinear",
}
#: The mode of those that have a matrix of weights along each axis, and whether they are antialiased.
_SEPARABLE: dict[Any, tuple[str, bool]] = {
    aten.upsample_bicubic2d.vec: ("bicubic", False),
    aten._upsample_bicubic2d_aa.vec: ("bicubic", True),
    aten._upsample_bilinear2d_aa.vec: ("bilinear", True),
}


@lowers(*_NEAREST)
def nearest(builder: Builder, x: Any, size: Any, scales: Any) -> Node:
    """Each output is one of the inputs."""
    return _interpolated(builder, x, _NEAREST[builder.target], None, scales)


@lowers(*_LINEAR)
def linear(builder: Builder, x: Any, size: Any, align_corners: bool, scales: Any) -> Node:
    """Each output is an average of the inputs around it."""
    return _interpolated(builder, x, _LINEAR[builder.target], align_corners, scales)


def _interpolated(builder: Builder, x: Any, mode: str, align_corners: bool | None, scales: Any) -> Node:
    factors = None if scales is None else tuple(float(scale) for scale in scales)
    return builder.emit(Interpolate(builder.shape[1:], mode, align_corners, factors), builder.node(x))


@lowers(*_SEPARABLE)
def separable(builder: Builder, x: Any, size: Any, align_corners: bool, scales: Any) -> Node:
    """A fixed matrix along each of the two axes."""
    x = builder.node(x)
    mode, antialias = _SEPARABLE[builder.target]
    for axis, factor in zip((1, 2), scales or (None, None), strict=True):
        old, new = x.shape[axis], builder.shape[axis]
        weights = apply(_weights, old, new, factor, mode, align_corners, antialias)
        x = weighed_along(builder, x, axis, apply(Interpolating(1), weights), new)
    return x


def _weights(old: int, new: int, scale: float | None, mode: str, align_corners: bool, antialias: bool) -> Tensor:
    """The weight of each of `old` inputs in each of `new` outputs, `[new, old]`: the resampled unit vectors.

    They are two columns wide, since torch's antialiasing confuses the axes of an image of one column.
    """
    units = torch.eye(old, dtype=torch.float64)[None, :, :, None].repeat(1, 1, 1, 2)
    if scale is None:
        options: dict[str, Any] = {"size": (new, 2)}
    else:
        options = {"scale_factor": (scale, 1.0), "recompute_scale_factor": False}
    image = functional.interpolate(units, mode=mode, align_corners=align_corners, antialias=antialias, **options)
    return image[0, :, :, 0].T
