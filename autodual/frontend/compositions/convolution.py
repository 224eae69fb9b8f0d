"""Convolutions and their transposes with any padding, over the last axes of `[channels, *spatial]`."""

from __future__ import annotations

from collections.abc import Sequence

from autodual.frontend.compositions.emitter import Emitter
from autodual.frontend.construction import Unsupported
from autodual.ir import Expression, Node
from autodual.ir.ops import Convolution, Pad, TransposedConvolution

Margins = tuple[tuple[int, ...], tuple[int, ...]]
"""How much is added before and after each spatial axis."""


def require_32_bits(*numbers: Sequence[int]) -> None:
    """Raise Unsupported where a window's extent, stride, dilation or padding exceeds 32 bits: kernels keep no more."""
    if any(abs(number) >= 2**31 for some in numbers for number in some):
        raise Unsupported(
            "its window, stride, dilation or padding is 2147483648 or more, of which kernels only keep 32 bits"
        )


def padded(builder: Emitter, x: Node, before: Sequence[int], after: Sequence[int], value: float = 0.0) -> Node:
    """The last axes of x with more entries, all of one value, before and after; negative numbers crop."""
    if not any(before) and not any(after):
        return x
    # PyTorch counts from the last axis.
    pads = tuple(amount for pair in reversed(list(zip(before, after, strict=True))) for amount in pair)
    leading = len(x.shape) - len(before)
    if any(n + min(b, 0) + min(a, 0) < 0 for n, b, a in zip(x.shape[leading:], before, after, strict=True)):
        raise Unsupported("it crops more than there is")
    grown = tuple(n + b + a for n, b, a in zip(x.shape[leading:], before, after, strict=True))
    return builder.emit(Pad(pads, value), x, shape=(*x.shape[:leading], *grown))


def same_padding(
    extents: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    *,
    odd_before: bool = False,
) -> Margins:
    """The padding with which a convolution yields one entry for each stride; an odd one has more after the end."""
    before, after = [], []
    for extent, size, step, spread in zip(extents, kernel, stride, dilation, strict=True):
        outputs = -(-extent // step)
        needed = max((outputs - 1) * step + (size - 1) * spread + 1 - extent, 0)
        small, large = needed // 2, needed - needed // 2
        before.append(large if odd_before else small)
        after.append(small if odd_before else large)
    return tuple(before), tuple(after)


def convolved(
    builder: Emitter,
    x: Node,
    weight: Expression,
    bias: Expression | None,
    kernel: Sequence[int],
    stride: tuple[int, ...],
    margins: Margins,
    dilation: tuple[int, ...],
    groups: int,
) -> Node:
    """A convolution with zeros around x. The op itself pads evenly; what one side has more is padded before it.

    kernel: the shape of the weight, `[out, in/groups, *kernel]`.
    """
    require_32_bits(stride, dilation, *margins)
    before, after = margins
    common = tuple(max(min(pair), 0) for pair in zip(before, after, strict=True))
    first, last = ([side - own for side, own in zip(sides, common, strict=True)] for sides in margins)
    sizes = [
        (n + b + a - d * (k - 1) - 1) // s + 1
        for n, b, a, k, s, d in zip(x.shape[1:], before, after, kernel[2:], stride, dilation, strict=True)
    ]
    if min(sizes, default=1) < 1:
        raise Unsupported("its kernel is larger than its input")
    op = Convolution(weight, bias, stride, common, dilation, groups)
    return builder.emit(op, padded(builder, x, first, last), shape=(kernel[0], *sizes))


def reach(
    extents: Sequence[int], kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> tuple[int, ...]:
    """The extents of a transposed convolution's result before anything is cut off."""
    return tuple(s * (n - 1) + d * (k - 1) + 1 for n, k, s, d in zip(extents, kernel, stride, dilation, strict=True))


def transposed_convolved(
    builder: Emitter,
    x: Node,
    weight: Expression,
    bias: Expression | None,
    kernel: Sequence[int],
    stride: tuple[int, ...],
    margins: Margins,
    extra: tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int,
) -> Node:
    """The transpose of a convolution, cut by the margins; where these are uneven it is made whole and then cropped.

    kernel: the shape of the weight, `[in, out/groups, *kernel]`. extra: entries more after the end of each axis.
    """
    require_32_bits(stride, dilation, *margins)
    before, after = margins
    whole = reach(x.shape[1:], kernel[2:], stride, dilation)
    limits = [max(s, d) for s, d in zip(stride, dilation, strict=True)]
    even = before == after and min(before, default=0) >= 0
    plain = even and all(e < limit for e, limit in zip(extra, limits, strict=True))
    padding = before if plain else (0,) * len(before)
    # Beyond what the kernel reaches there is only the bias; output padding adds that.
    added = extra if plain else tuple(max(0, e - a) for e, a in zip(extra, after, strict=True))
    if any(e >= limit for e, limit in zip(added, limits, strict=True)):
        raise Unsupported("its output padding is not smaller than its stride")
    op = TransposedConvolution(weight, bias, stride, padding, added, dilation, groups)
    sizes = tuple(w + e - 2 * p for w, e, p in zip(whole, added, padding, strict=True))
    result = builder.emit(op, x, shape=(kernel[1] * groups, *sizes))
    if plain:
        return result
    wanted = (w + e - b - a for w, e, b, a in zip(whole, extra, before, after, strict=True))
    cut = [w - s + b for w, s, b in zip(wanted, sizes, before, strict=True)]
    return padded(builder, result, [-b for b in before], cut)
