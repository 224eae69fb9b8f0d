"""Rules of convolutions and their transposes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autodual.frontend.construction import Unsupported
from autodual.frontend.onnx.attributes import Attributes, fixed
from autodual.frontend.onnx.builder import OnnxBuilder
from autodual.frontend.onnx.registry import onnx_op
from autodual.frontend.onnx.values import Branch, Static, Value
from autodual.ir import Node
from autodual.ir.ops import Convolution, Pad, TransposedConvolution


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
    before, after = [], []
    for extent, size, step, spread in zip(extents, kernel, stride, dilation, strict=True):
        outputs = -(-extent // step)
        needed = max((outputs - 1) * step + (size - 1) * spread + 1 - extent, 0)
        small, large = needed // 2, needed - needed // 2
        before.append(large if automatic == "SAME_LOWER" else small)
        after.append(small if automatic == "SAME_LOWER" else large)
    return tuple(before), tuple(after)


def padded(builder: OnnxBuilder, x: Node, before: Sequence[int], after: Sequence[int], value: float = 0.0) -> Node:
    """The last axes of a node padded (negative numbers crop)."""
    if not any(before) and not any(after):
        return x
    pads = tuple(amount for pair in reversed(list(zip(before, after, strict=True))) for amount in pair)
    leading = len(x.shape) - len(before)
    if any(n + min(b, 0) + min(a, 0) < 0 for n, b, a in zip(x.shape[leading:], before, after, strict=True)):
        raise Unsupported("it crops more than there is")
    grown = tuple(n + b + a for n, b, a in zip(x.shape[leading:], before, after, strict=True))
    return builder.emit(Pad(pads, value), x, shape=(*x.shape[:leading], *grown))


@onnx_op("Conv")
def convolution(builder: OnnxBuilder, attributes: Attributes, x: Value, weight: Value, bias: Any = None) -> Branch:
    """A convolution with constant weights over one to three spatial axes."""
    weight = fixed(weight, "weights")
    assert isinstance(x, Branch)
    axes = _spatial_axes(x, weight)
    kernel = weight.shape[2:]
    if not weight.array.size:
        raise Unsupported("its weights have no entries")
    stride = tuple(attributes.get("strides", (1,) * axes))
    dilation = tuple(attributes.get("dilations", (1,) * axes))
    before, after = spatial_pads(attributes, x.shape[2:], kernel, stride, dilation)
    symmetric = before == after and min(before, default=0) >= 0
    offset = None if bias is None else builder.weight(fixed(bias, "biases"))
    op = Convolution(
        builder.weight(weight),
        offset,
        stride,
        before if symmetric else (0,) * axes,
        dilation,
        attributes.get("group", 1),
    )
    sizes = [
        (n + b + a - d * (k - 1) - 1) // s + 1
        for n, b, a, k, s, d in zip(x.shape[2:], before, after, kernel, stride, dilation, strict=True)
    ]
    if min(sizes, default=1) < 1:
        raise Unsupported("its kernel is larger than its input")
    shape = (weight.shape[0], *sizes)

    def rule(sample: Node) -> Node:
        ready = sample if symmetric else padded(builder, sample, before, after)
        return builder.emit(op, ready, shape=shape)

    return builder.per_sample(x, rule)


@onnx_op("ConvTranspose")
def transposed_convolution(
    builder: OnnxBuilder, attributes: Attributes, x: Value, weight: Value, bias: Any = None
) -> Branch:
    """The transpose of a convolution; where its padding is uneven, it is made whole and cropped."""
    weight = fixed(weight, "weights")
    assert isinstance(x, Branch)
    axes = _spatial_axes(x, weight)
    groups = attributes.get("group", 1)
    stride = tuple(attributes.get("strides", (1,) * axes))
    dilation = tuple(attributes.get("dilations", (1,) * axes))
    extra = tuple(attributes.get("output_padding", (0,) * axes))
    whole = tuple(
        s * (n - 1) + d * (k - 1) + 1
        for n, k, s, d in zip(x.shape[2:], weight.shape[2:], stride, dilation, strict=True)
    )
    before, after = _transposed_pads(attributes, x.shape[2:], stride, whole, extra)
    offset = None if bias is None else builder.weight(fixed(bias, "biases"))
    channels = weight.shape[1] * groups
    plain = (
        before == after
        and min(before, default=0) >= 0
        and all(e < max(s, d) for e, s, d in zip(extra, stride, dilation))
    )
    padding = before if plain else (0,) * axes
    # Beyond the whole result there is nothing but the bias, which output padding adds.
    added = extra if plain else tuple(max(0, e - a) for e, a in zip(extra, after, strict=True))
    if any(e >= max(s, d) for e, s, d in zip(added, stride, dilation, strict=True)):
        raise Unsupported("its output padding is not smaller than its stride")
    op = TransposedConvolution(builder.weight(weight), offset, stride, padding, added, dilation, groups)
    sizes = tuple(w + e - 2 * p for w, e, p in zip(whole, added, padding, strict=True))
    wanted = tuple(w + e - b - a for w, e, b, a in zip(whole, extra, before, after, strict=True))

    def rule(sample: Node) -> Node:
        result = builder.emit(op, sample, shape=(channels, *sizes))
        cut = [w - s + b for w, s, b in zip(wanted, sizes, before, strict=True)]
        return result if plain else padded(builder, result, [-b for b in before], cut)

    return builder.per_sample(x, rule)


def _transposed_pads(
    attributes: Attributes, extents: Sequence[int], stride: Sequence[int], whole: Sequence[int], extra: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What is cut off before and after each spatial axis; `output_shape` and `auto_pad` say it by the result's size."""
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
