"""Rules of convolutions and their transposes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autodual.frontend import compositions
from autodual.frontend.construction import Unsupported
from autodual.frontend.onnx.attributes import Attributes, fixed
from autodual.frontend.onnx.builder import OnnxBuilder
from autodual.frontend.onnx.operands import Branch, Static, Value
from autodual.frontend.onnx.registry import onnx_op
from autodual.ir import Node


def spatial_steps(attributes: Attributes, axes: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The strides and the dilations of an operator over so many spatial axes."""
    found = {name: tuple(attributes.get(name, (1,) * axes)) for name in ("strides", "dilations")}
    for name, steps in found.items():
        if len(steps) != axes:
            raise Unsupported(f"it has {len(steps)} {name} for {axes} spatial axes")
        if min(steps) < 1:
            raise Unsupported(f"its {name} must be at least 1, not {min(steps)}")
    return found["strides"], found["dilations"]


def spatial_pads(
    attributes: Attributes,
    extents: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Padding before and after each spatial axis, from `pads` or `auto_pad`."""
    axes = len(extents)
    automatic = attributes.get("auto_pad", "NOTSET")
    if automatic == "NOTSET":
        pads = tuple(attributes.get("pads", (0,) * 2 * axes))
        if len(pads) != 2 * axes:
            raise Unsupported(f"it has {len(pads)} pads for {axes} spatial axes")
        return pads[:axes], pads[axes:]
    if automatic == "VALID":
        return (0,) * axes, (0,) * axes
    return compositions.same_padding(extents, kernel, stride, dilation, odd_before=automatic == "SAME_LOWER")


@onnx_op("Conv")
def convolution(builder: OnnxBuilder, attributes: Attributes, x: Value, weight: Value, bias: Any = None) -> Branch:
    """A convolution with constant weights over one to three spatial axes."""
    weight = fixed(weight, "weights")
    assert isinstance(x, Branch)
    axes = _spatial_axes(x, weight)
    if not weight.array.size:
        raise Unsupported("its weights have no entries")
    stride, dilation = spatial_steps(attributes, axes)
    margins = spatial_pads(attributes, x.shape[2:], weight.shape[2:], stride, dilation)
    matrix, offset = builder.weight(weight), None if bias is None else builder.weight(fixed(bias, "biases"))
    groups = attributes.get("group", 1)

    def rule(sample: Node) -> Node:
        return compositions.convolved(builder, sample, matrix, offset, weight.shape, stride, margins, dilation, groups)

    return builder.per_sample(x, rule)


@onnx_op("ConvTranspose")
def transposed_convolution(
    builder: OnnxBuilder, attributes: Attributes, x: Value, weight: Value, bias: Any = None
) -> Branch:
    """The transpose of a convolution with constant weights."""
    weight = fixed(weight, "weights")
    assert isinstance(x, Branch)
    axes = _spatial_axes(x, weight)
    groups = attributes.get("group", 1)
    stride, dilation = spatial_steps(attributes, axes)
    extra = tuple(attributes.get("output_padding", (0,) * axes))
    whole = compositions.reach(x.shape[2:], weight.shape[2:], stride, dilation)
    margins = _transposed_pads(attributes, x.shape[2:], stride, whole, extra)
    matrix, offset = builder.weight(weight), None if bias is None else builder.weight(fixed(bias, "biases"))

    def rule(sample: Node) -> Node:
        return compositions.transposed_convolved(
            builder, sample, matrix, offset, weight.shape, stride, margins, extra, dilation, groups
        )

    return builder.per_sample(x, rule)


def _transposed_pads(
    attributes: Attributes, extents: Sequence[int], stride: Sequence[int], whole: Sequence[int], extra: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What is cut off before and after each spatial axis: from `pads`, or from the wanted size of the result."""
    axes = len(extents)
    automatic = attributes.get("auto_pad", "NOTSET")
    sizes = attributes.get("output_shape")
    if sizes is None and automatic.startswith("SAME"):
        sizes = [n * s for n, s in zip(extents, stride, strict=True)]
    if sizes is None:
        pads = tuple(attributes.get("pads", (0,) * 2 * axes)) if automatic == "NOTSET" else (0,) * 2 * axes
        return pads[:axes], pads[axes:]
    before, after = [], []
    for size, reach, add in zip(sizes[-axes:], whole, extra, strict=True):
        surplus = max(reach + add - size, 0)
        if reach + add < size:
            raise Unsupported("its output shape is larger than what its kernel reaches")
        half = surplus // 2
        # Of an odd surplus the larger half is cut off before, except where SAME_UPPER says otherwise.
        before.append(half if automatic == "SAME_UPPER" else surplus - half)
        after.append(surplus - half if automatic == "SAME_UPPER" else half)
    return tuple(before), tuple(after)


def _spatial_axes(x: Branch, weight: Static) -> int:
    axes = len(weight.shape) - 2
    if len(x.shape) != axes + 2:
        raise Unsupported(f"its input has {len(x.shape)} axes and its kernel {axes + 2}")
    if not 1 <= axes <= 3:
        raise Unsupported(f"it has {axes} spatial axes; one, two or three are supported")
    return axes
