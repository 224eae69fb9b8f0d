"""Rules of Resize and Upsample: along every axis, each entry of the result is a fixed average of entries."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from autodual.frontend.compositions import weighed_along
from autodual.frontend.constants import Interpolating, apply
from autodual.frontend.construction import Unsupported
from autodual.frontend.onnx.attributes import Attributes, fixed, placed, whole_numbers
from autodual.frontend.onnx.builder import OnnxBuilder
from autodual.frontend.onnx.operands import Branch, Value
from autodual.frontend.onnx.registry import onnx_op
from autodual.frontend.onnx.rules.picking import picked_along


@dataclass(frozen=True)
class _Resampling:
    """How positions in the result are mapped to positions in the operand, and which entries are averaged there."""

    mode: str
    coordinates: str
    rounding: str = "round_prefer_floor"
    cubic: float = -0.75
    exclude_outside: bool = False

    def places(self, extent: int, size: int, scale: float) -> np.ndarray:
        """The position along an axis of the operand of each entry of the result `[size]`."""
        x = np.arange(size, dtype=np.float64)
        if self.coordinates == "half_pixel":
            return (x + 0.5) / scale - 0.5
        if self.coordinates == "pytorch_half_pixel":
            return (x + 0.5) / scale - 0.5 if size > 1 else np.zeros(1)
        if self.coordinates == "half_pixel_symmetric":
            centre = extent / 2 * (1 - size / (extent * scale))
            return centre + (x + 0.5) / scale - 0.5
        if self.coordinates == "align_corners":
            return x * (extent - 1) / (size - 1) if size > 1 else np.zeros(1)
        if self.coordinates == "asymmetric":
            return x / scale
        raise Unsupported(f"its coordinates '{self.coordinates}' are not supported")

    def nearest(self, places: np.ndarray, extent: int) -> list[int]:
        """The entry of the operand that each position is rounded to."""
        rounded = {
            "round_prefer_floor": lambda: np.ceil(places - 0.5),
            "round_prefer_ceil": lambda: np.floor(places + 0.5),
            "floor": lambda: np.floor(places),
            "ceil": lambda: np.ceil(places),
        }.get(self.rounding)
        if rounded is None:
            raise Unsupported(f"its rounding '{self.rounding}' is unknown")
        return [int(place) for place in np.clip(rounded(), 0, extent - 1)]

    def weights(self, places: np.ndarray, extent: int, scale: float, antialias: bool) -> np.ndarray:
        """The weight of each entry of the operand in each entry of the result `[size, extent]`."""
        stretch = max(1.0, 1 / scale) if antialias else 1.0
        radius = (2 if self.mode == "cubic" else 1) * stretch
        matrix = np.zeros((len(places), extent))
        for row, place in enumerate(places):
            first, last = math.floor(place - radius), math.ceil(place + radius)
            entries = np.arange(first, last + 1)
            weights = self._kernel((entries - place) / stretch)
            outside = (entries < 0) | (entries >= extent)
            if self.exclude_outside:
                weights = np.where(outside, 0.0, weights)
            np.add.at(matrix[row], np.clip(entries, 0, extent - 1), weights / weights.sum())
        return matrix

    def _kernel(self, gaps: np.ndarray) -> np.ndarray:
        gaps = np.abs(gaps)
        if self.mode == "linear":
            return np.maximum(0.0, 1 - gaps)
        a = self.cubic
        near = ((a + 2) * gaps - (a + 3)) * gaps**2 + 1
        far = ((a * gaps - 5 * a) * gaps + 8 * a) * gaps - 4 * a
        return np.where(gaps <= 1, near, np.where(gaps < 2, far, 0.0))


@onnx_op("Upsample")
def upsample(builder: OnnxBuilder, attributes: Attributes, x: Value, scales: Value | None = None) -> Branch:
    """The predecessor of Resize."""
    factors = attributes.get("scales") if scales is None else fixed(scales, "scales").array.reshape(-1)
    if factors is None:
        raise Unsupported("it has no scales")
    return _resampled(builder, attributes, x, [float(factor) for factor in factors], None, _old_style(attributes))


@onnx_op("Resize")
def resize(builder: OnnxBuilder, attributes: Attributes, x: Value, *operands: Any) -> Branch:
    """Operator set 10 gives scales only; later ones a region, scales and sizes, of which some are left out."""
    if attributes.opset < 11:
        factors = fixed(operands[0], "scales").array.reshape(-1)
        return _resampled(builder, attributes, x, [float(factor) for factor in factors], None, _old_style(attributes))
    _, scales, sizes = (*operands, None, None, None)[:3]
    how = _Resampling(
        attributes.get("mode", "nearest"),
        attributes.get("coordinate_transformation_mode", "half_pixel"),
        attributes.get("nearest_mode", "round_prefer_floor"),
        attributes.get("cubic_coeff_a", -0.75),
        bool(attributes.get("exclude_outside", 0)),
    )
    given = scales is not None and fixed(scales, "scales").array.size > 0
    if given:
        return _resampled(
            builder, attributes, x, [float(f) for f in fixed(scales, "scales").array.reshape(-1)], None, how
        )
    if sizes is None:
        raise Unsupported("it has neither scales nor sizes")
    return _resampled(builder, attributes, x, None, list(whole_numbers(sizes, "sizes")), how)


def _old_style(attributes: Attributes) -> _Resampling:
    return _Resampling(attributes.get("mode", "nearest"), "asymmetric", "floor")


def _resampled(
    builder: OnnxBuilder,
    attributes: Attributes,
    x: Value,
    scales: list[float] | None,
    sizes: list[int] | None,
    how: _Resampling,
) -> Branch:
    if not isinstance(x, Branch):
        raise Unsupported("what it resizes is constant")
    if how.mode not in ("nearest", "linear", "bilinear", "cubic"):
        raise Unsupported(f"its mode '{how.mode}' is unknown")
    if how.mode == "bilinear":
        how = _Resampling("linear", how.coordinates)
    axes = placed(attributes.get("axes", range(len(x.shape))), len(x.shape))
    if len(scales or sizes or ()) != len(axes):
        raise Unsupported(f"it scales {len(scales or sizes or ())} of {len(axes)} axes")
    if attributes.get("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise Unsupported("it keeps the aspect ratio, which is not supported")
    for place, axis in enumerate(axes):
        extent = x.shape[axis]
        scale = scales[place] if scales is not None else sizes[place] / extent  # type: ignore[index]
        size = math.floor(extent * scale) if scales is not None else sizes[place]  # type: ignore[index]
        if scale <= 0 or size < 1:
            raise Unsupported("nothing is left of an axis")
        if how.coordinates == "align_corners" and scales is not None and abs(size - extent * scale) > 1e-4:
            raise Unsupported("it aligns corners and its scales yield no whole extents, which runtimes do differently")
        if scale != 1 or size != extent:
            x = _along_axis(builder, x, axis, size, scale, how, bool(attributes.get("antialias", 0)))
    return x


def _along_axis(
    builder: OnnxBuilder, x: Branch, axis: int, size: int, scale: float, how: _Resampling, antialias: bool
) -> Branch:
    extent = x.shape[axis]
    places = how.places(extent, size, scale)
    if how.mode == "nearest":
        return picked_along(builder, x, axis, how.nearest(places, extent))
    builder.reserve(size * extent)
    weights = builder.constant(how.weights(places, extent, scale, antialias and scale < 1))
    matrix = apply(Interpolating(1), weights)
    node, (within,) = builder.along(x, (axis,))
    shape = (*x.shape[:axis], size, *x.shape[axis + 1 :])
    return builder.branch(weighed_along(builder, node, within, matrix, size), shape)
