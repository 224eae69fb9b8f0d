"""Operators that compute: elementwise, on each entry along axis 0, or along other axes than the samples'."""

from __future__ import annotations

from collections.abc import Iterable

from autodual.frontend.onnx.attributes import placed
from autodual.frontend.onnx.batch.operation import Batched, Layout, Mixing, Operation
from autodual.frontend.onnx.batch.registry import Places, batch_rule
from autodual.frontend.onnx.batch.shapes import first_axis
from autodual.frontend.onnx.operands import Static
from autodual.ir.scalars import declarations

_ELEMENTWISE = (
    "Add And Cast CastLike Ceil Clip Div Dropout Equal Floor Greater GreaterOrEqual HardSigmoid Identity IsInf IsNaN "
    "Less LessOrEqual Max Mean Min Mod Mul Neg Not Or PRelu Pow Round Shrink Sign Sub Sum Swish ThresholdedRelu Where "
    "Xor"
)
_EACH_ENTRY = (
    "Conv ConvTranspose BatchNormalization InstanceNormalization GroupNormalization LRN AveragePool MaxPool LpPool "
    "GlobalAveragePool GlobalMaxPool GlobalLpPool"
)
_REDUCTIONS = (
    "ReduceSum ReduceMean ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceSumSquare"
)
_ONE_RESULT_SINCE = 13
"""The operator set since which a softmax is along one axis, not along all from it on."""


@batch_rule(*_ELEMENTWISE.split(), *(name for entry in declarations() for name in entry.onnx if "::" not in name))
def elementwise(operation: Operation) -> Places:
    """The samples of all operands lie along the same axis of the result."""
    return (operation.aligned(),) * len(operation.shapes)


@batch_rule(*_EACH_ENTRY.split())
def each_entry(operation: Operation) -> Places:
    """Only the first result may be read: places of maxima are counted over the whole batch."""
    if operation.attributes.get("training_mode", 0):
        raise Mixing("it takes statistics over all samples")
    if len(operation.only().shape) < 2:
        raise Mixing("it takes the samples for something else")
    return _first(operation, first_axis(operation))


@batch_rule("QuantizeLinear", "DequantizeLinear")
def quantised(operation: Operation) -> Layout:
    """A scale and zero point for all, or one of each for each entry along another axis."""
    x = operation.only()
    many = any(isinstance(value, Static) and value.array.size > 1 for value in operation.operands)
    if many and placed((operation.attributes.get("axis", 1),), len(x.shape)) == (x.axis,):
        raise Mixing("its scales differ along the axis that counts the samples")
    if operation.attributes.get("block_size", 0):
        raise Mixing("its scales are those of blocks")
    return x.layout


@batch_rule("Softmax", "LogSoftmax", "Hardmax")
def softmax(operation: Operation) -> Layout:
    """Along one axis, which must not count the samples; before opset 13 along all axes behind it too."""
    x = operation.only()
    single = operation.attributes.opset >= _ONE_RESULT_SINCE
    (axis,) = placed((operation.attributes.get("axis", -1 if single else 1),), len(x.shape))
    if axis == x.axis or (not single and axis < x.axis):
        raise Mixing("it works along the axis that counts the samples")
    return x.layout


@batch_rule("LpNormalization")
def lp_normalisation(operation: Operation) -> Layout:
    """Along one axis, which must not count the samples."""
    return _along(operation, (operation.attributes.get("axis", -1),))


@batch_rule("CumSum", "CumProd")
def cumulative(operation: Operation) -> Layout:
    """Along one axis, which must not count the samples."""
    return _along(operation, operation.axes(1, "axis"))


@batch_rule("MeanVarianceNormalization")
def mean_variance(operation: Operation) -> Layout:
    """Over some axes, none of which may count the samples."""
    return _along(operation, operation.attributes.get("axes", (0, 2, 3)))


@batch_rule("LayerNormalization", "RMSNormalization")
def layer_normalisation(operation: Operation) -> Places:
    """Along an axis and all behind it; the scale and offset have these axes at most."""
    x = operation.only()
    (first,) = placed((operation.attributes.get("axis", -1),), len(x.shape))
    if first <= x.axis:
        raise Mixing("it normalises along the axis that counts the samples")
    operation.aligned()
    return _first(operation, x.layout)


@batch_rule("Trilu")
def triangle(operation: Operation) -> Layout:
    """Of the last two axes, neither of which may count the samples."""
    return _along(operation, (-2, -1))


@batch_rule(*_REDUCTIONS.split())
def reduction(operation: Operation) -> Layout:
    """Over some axes, none of which may count the samples; over all of them where none is named."""
    axes = operation.axes(1)
    if not axes and operation.attributes.get("noop_with_empty_axes", 0):
        return operation.only().layout
    return _reduced(operation, axes or range(len(operation.only().shape)))


@batch_rule("ArgMax", "ArgMin")
def places(operation: Operation) -> Layout:
    """The place of an extreme along one axis, which must not count the samples."""
    return _reduced(operation, (operation.attributes.get("axis", 0),))


@batch_rule("LSTM", "GRU", "RNN")
def recurrent(operation: Operation) -> Places:
    """The samples are the second axis of sequences and states, or their first where `layout` is 1."""
    leading = bool(operation.attributes.get("layout", 0))
    x, axis = operation.operand(0), 0 if leading else 1
    merged = (x.layout.outer, x.layout.inner) if isinstance(x, Batched) else None
    if not isinstance(x, Batched) or x.axis != axis:
        raise Mixing("it takes another axis than the samples' for that of the samples")
    sizes = {4: 0, 5: axis, 6: axis}
    for place, value in enumerate(operation.operands[1:], start=1):
        if isinstance(value, Static) and place in sizes:
            operation.narrow(place, sizes[place], x.layout)
        elif isinstance(value, Batched):
            mine = (value.layout.outer, value.layout.inner)
            if (place, value.axis, mine) not in ((5, axis, merged), (6, axis, merged)):
                raise Mixing("another operand of it than usual depends on the input")
    behind = (3, 2, 2) if leading else (1, 1, 1)
    return tuple(Layout(after, x.layout.outer, x.layout.inner) for after in behind[: len(operation.shapes)])


def _along(operation: Operation, axes: Iterable[int] | None) -> Layout:
    """The layout of a result of the operand's shape, where the operator works along some axes."""
    x = operation.only()
    if axes is None or x.axis in placed(tuple(axes), len(x.shape)):
        raise Mixing("it works along the axis that counts the samples")
    return x.layout


def _reduced(operation: Operation, axes: Iterable[int]) -> Layout:
    """The layout once some axes are gone, or have extent 1."""
    x, given = operation.only(), tuple(axes)
    layout = _along(operation, given)
    behind = sum(axis > x.axis for axis in set(placed(given, len(x.shape))))
    gone = 0 if operation.attributes.get("keepdims", 1) else behind
    return Layout(layout.after - gone, layout.outer, layout.inner)


def _first(operation: Operation, layout: Layout) -> Places:
    return (layout, *[None] * (len(operation.shapes) - 1))
