"""Rules of pooling."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from autodual.frontend import compositions
from autodual.frontend.construction import Unsupported
from autodual.frontend.onnx.attributes import Attributes, first_read_only
from autodual.frontend.onnx.builder import OnnxBuilder
from autodual.frontend.onnx.operands import Branch
from autodual.frontend.onnx.registry import onnx_op
from autodual.frontend.onnx.rules.convolution import spatial_pads, spatial_steps
from autodual.ir import Node
from autodual.ir.ops import AveragePool, Convolution, ElementwiseAffine


@dataclass(frozen=True)
class _Windows:
    """The windows of a pooling operator. Each field has one number for each spatial axis; `size` is the result's."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    size: tuple[int, ...]
    extents: tuple[int, ...]

    @property
    def even(self) -> bool:
        """Whether torch's own average pooling has these windows."""
        return (
            self.before == self.after
            and set(self.dilation) == {1}
            and all(2 * pad <= size for pad, size in zip(self.before, self.kernel))
            and all(
                (n + 2 * p - k) // s + 1 == o
                for n, p, k, s, o in zip(self.extents, self.before, self.kernel, self.stride, self.size)
            )
        )

    @property
    def reach(self) -> tuple[int, ...]:
        """Entries after the last one of each axis that some window reads; negative where some are never read."""
        return tuple(
            (o - 1) * s + (k - 1) * d + 1 - n - b
            for o, s, k, d, n, b in zip(self.size, self.stride, self.kernel, self.dilation, self.extents, self.before)
        )


def _windows(attributes: Attributes, x: Branch) -> _Windows:
    kernel = tuple(attributes.get("kernel_shape", ()))
    axes = len(kernel)
    if len(x.shape) != axes + 2 or not 1 <= axes <= 3:
        raise Unsupported(f"its input has {len(x.shape)} axes and its kernel {axes}")
    stride, dilation = spatial_steps(attributes, axes)
    if attributes.get("auto_pad", "NOTSET").startswith("SAME") and set(dilation) != {1}:
        raise Unsupported("it pads a dilated kernel automatically, which runtimes do differently; give it pads")
    extents = x.shape[2:]
    before, after = spatial_pads(attributes, extents, kernel, stride, dilation)
    rounded_up = bool(attributes.get("ceil_mode", 0))
    size = []
    for n, k, s, d, b, a in zip(extents, kernel, stride, dilation, before, after, strict=True):
        room = n + b + a - (k - 1) * d - 1
        outputs = (-(-room // s) if rounded_up else room // s) + 1
        # A last window that would start in the padding after the end does not exist.
        size.append(outputs - 1 if rounded_up and (outputs - 1) * s >= n + b else outputs)
    if min(size) < 1:
        raise Unsupported("its kernel is larger than its input")
    if min(*before, *after) < 0:
        raise Unsupported("its pads must not be negative")
    if any(pad >= k for pads in (before, after) for pad, k in zip(pads, kernel)) or min(kernel) < 1:
        raise Unsupported("its pads are larger than its kernel, so some windows read nothing")
    return _Windows(kernel, stride, dilation, before, after, tuple(size), tuple(extents))


@onnx_op("MaxPool")
def max_pool(builder: OnnxBuilder, attributes: Attributes, x: Branch) -> Branch:
    first_read_only(attributes, "indices")
    windows = _windows(attributes, x)
    builder.reserve(prod(windows.kernel) * max(windows.size))

    def rule(sample: Node) -> Node:
        return compositions.max_pool(
            builder, sample, windows.kernel, windows.stride, windows.before, windows.dilation, windows.size
        )

    return builder.per_sample(x, rule)


@onnx_op("AveragePool")
def average_pool(builder: OnnxBuilder, attributes: Attributes, x: Branch) -> Branch:
    """Averages over windows; `count_include_pad` says whether padding counts, what ceil_mode adds never does."""
    windows = _windows(attributes, x)
    compositions.require_32_bits(windows.kernel, windows.stride, windows.dilation)
    counted = bool(attributes.get("count_include_pad", 0))
    shape = (x.shape[1], *windows.size)
    if windows.even:
        op = AveragePool(windows.kernel, windows.stride, windows.before, count_include_pad=counted)
        return builder.per_sample(x, lambda sample: builder.emit(op, sample, shape=shape))

    def rule(sample: Node) -> Node:
        ready = compositions.padded(builder, sample, windows.before, windows.reach)
        averages = builder.emit(_average(builder, windows, x.shape[1]), ready, shape=shape)
        correction = _correction(builder, windows, counted)
        if (correction == 1).all():
            return averages
        return builder.emit(ElementwiseAffine(builder.constant(correction)), averages)

    return builder.per_sample(x, rule)


def _average(builder: OnnxBuilder, windows: _Windows, channels: int) -> AveragePool | Convolution:
    """Averages over all places of the windows of a padded sample."""
    none = (0,) * len(windows.kernel)
    if set(windows.dilation) == {1}:
        return AveragePool(windows.kernel, windows.stride, none)
    weight = np.full((channels, 1, *windows.kernel), 1 / prod(windows.kernel))
    return Convolution(builder.constant(weight), None, windows.stride, none, windows.dilation, channels)


def _correction(builder: OnnxBuilder, windows: _Windows, counted: bool) -> np.ndarray:
    """For each window, the number of its places over the number of those that count."""
    builder.reserve(max(size * kernel for size, kernel in zip(windows.size, windows.kernel)))
    ratios = np.ones((1,) * len(windows.kernel))
    for axis, size in enumerate(windows.size):
        starts = np.arange(size) * windows.stride[axis] - windows.before[axis]
        places = starts[:, None] + np.arange(windows.kernel[axis]) * windows.dilation[axis]
        first, last = 0, windows.extents[axis]
        if counted:
            first, last = first - windows.before[axis], last + windows.after[axis]
        inside = ((places >= first) & (places < last)).sum(axis=1)
        along = [1] * len(windows.kernel)
        along[axis] = size
        ratios = ratios * (windows.kernel[axis] / np.maximum(inside, 1)).reshape(along)
    return ratios


@onnx_op("GlobalAveragePool")
def global_average_pool(builder: OnnxBuilder, _: Attributes, x: Branch) -> Branch:
    node, axes = builder.along(x, range(2, len(x.shape)))
    return builder.branch(compositions.mean(builder, node, axes), (*x.shape[:2], *[1] * (len(x.shape) - 2)))


@onnx_op("GlobalMaxPool")
def global_max_pool(builder: OnnxBuilder, _: Attributes, x: Branch) -> Branch:
    node, axes = builder.along(x, range(2, len(x.shape)))
    found = compositions.largest(builder, node, axes)
    return builder.branch(found, (*x.shape[:2], *[1] * (len(x.shape) - 2)))


@onnx_op("GlobalLpPool")
def global_norm_pool(builder: OnnxBuilder, attributes: Attributes, x: Branch) -> Branch:
    """The norm of each channel."""
    node, axes = builder.along(x, range(2, len(x.shape)))
    norms = compositions.norm(builder, node, axes, attributes.get("p", 2))
    return builder.branch(norms, (*x.shape[:2], *[1] * (len(x.shape) - 2)))


@onnx_op("LpPool")
def norm_pool(builder: OnnxBuilder, attributes: Attributes, x: Branch) -> Branch:
    """Norms over windows, as sums by a convolution with ones."""
    windows = _windows(attributes, x)
    compositions.require_32_bits(windows.kernel, windows.stride, windows.dilation)
    channels, order = x.shape[1], attributes.get("p", 2)
    builder.reserve(channels * prod(windows.kernel))
    ones = builder.constant(np.ones((channels, 1, *windows.kernel)))
    op = Convolution(ones, None, windows.stride, (0,) * len(windows.kernel), windows.dilation, channels)

    def rule(sample: Node) -> Node:
        powers = compositions.absolute_power(builder, sample, order)
        ready = compositions.padded(builder, powers, windows.before, windows.reach)
        return compositions.power(builder, builder.emit(op, ready, shape=(channels, *windows.size)), 1 / order)

    return builder.per_sample(x, rule)
