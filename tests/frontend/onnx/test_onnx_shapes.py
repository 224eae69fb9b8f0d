"""Operators that move, copy, select and pad entries, along every axis, compared with an ONNX runtime."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from .models import assert_agrees, assert_operator_agrees, model, node, weights

SHAPES = ([4], [1, 4], [2, 4], [1, 3, 4], [2, 3, 4], [1, 1, 4])


def whole(*entries: int) -> np.ndarray:
    return np.array(entries, dtype=np.int64)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
class TestEveryShape:
    def test_reshape(self, shape: list[int]) -> None:
        size = int(np.prod(shape))
        for target in ([-1], [1, -1], [size, 1], [1, 1, size], [0, -1], [-1, 1, 1]):
            assert_operator_agrees("Reshape", {"x": shape}, {"s": whole(*target)})

    def test_flatten(self, shape: list[int]) -> None:
        for axis in range(len(shape) + 1):
            assert_operator_agrees("Flatten", {"x": shape}, axis=axis)
        assert_operator_agrees("Flatten", {"x": shape}, opset=11, axis=-1)

    def test_transpose(self, shape: list[int]) -> None:
        for order in itertools.permutations(range(len(shape))):
            assert_operator_agrees("Transpose", {"x": shape}, perm=order)
        assert_operator_agrees("Transpose", {"x": shape})

    def test_squeeze_and_unsqueeze(self, shape: list[int]) -> None:
        for axes in ([0], [1, -1], [0, 2]):
            assert_operator_agrees("Unsqueeze", {"x": shape}, opset=11, axes=axes)
            assert_operator_agrees("Unsqueeze", {"x": shape}, {"a": whole(*axes)}, opset=13)
        assert_operator_agrees("Squeeze", {"x": shape}, opset=11)
        if shape[0] == 1:
            assert_operator_agrees("Squeeze", {"x": shape}, opset=11, axes=[0])
            assert_operator_agrees("Squeeze", {"x": shape}, {"a": whole(-len(shape))}, opset=13)

    def test_expand_and_tile(self, shape: list[int]) -> None:
        for target in ([2, *shape], [1], [3] + [1] * len(shape)):
            assert_operator_agrees("Expand", {"x": shape}, {"s": whole(*target)})
        assert_operator_agrees("Tile", {"x": shape}, {"r": whole(*[2] * len(shape))})
        assert_operator_agrees("Tile", {"x": shape}, {"r": whole(*[1] * (len(shape) - 1), 3)})

    def test_concatenate(self, shape: list[int]) -> None:
        for axis in range(-len(shape), len(shape)):
            assert_operator_agrees("Concat", {"x": shape, "z": shape}, axis=axis)
            assert_operator_agrees("Concat", {"x": shape}, {"c": weights(*shape)}, names=["c", "x"], axis=axis)
            assert_operator_agrees("Concat", {"x": shape}, axis=axis)

    def test_slice(self, shape: list[int]) -> None:
        for axis in range(-len(shape), len(shape)):
            for start, end, step in ((0, 2, 1), (1, 100, 1), (-1, -100, -1), (0, 100, 2), (-2, 2**31, 1)):
                operands = {"a": whole(start), "b": whole(end), "c": whole(axis), "d": whole(step)}
                assert_operator_agrees("Slice", {"x": shape}, operands)
                if step == 1:
                    assert_operator_agrees("Slice", {"x": shape}, opset=9, starts=[start], ends=[end], axes=[axis])

    def test_gather(self, shape: list[int]) -> None:
        for axis in range(-len(shape), len(shape)):
            for index in (np.array(0), whole(0), whole(-1, 0), np.array([[0, -1], [0, 0]]), whole(0, 0, 0)):
                assert_operator_agrees("Gather", {"x": shape}, {"i": index}, axis=axis)

    def test_pad(self, shape: list[int]) -> None:
        none = [0] * (len(shape) - 1)
        for mode in ("constant", "edge", "reflect"):
            assert_operator_agrees("Pad", {"x": shape}, opset=10, pads=[*none, 1, *none, 2], mode=mode)
            assert_operator_agrees("Pad", {"x": shape}, {"p": whole(*none, 1, *none, 2)}, opset=11, mode=mode)
        everywhere = [1] * 2 * len(shape)
        level = np.array(1.5, np.float32)
        assert_operator_agrees("Pad", {"x": shape}, opset=7, pads=everywhere, value=2.5)
        assert_operator_agrees("Pad", {"x": shape}, {"p": whole(*everywhere), "v": level}, opset=13)
        axes = {"p": whole(1, 0), "v": level, "a": whole(-1)}
        assert_operator_agrees("Pad", {"x": shape}, axes, opset=18)

    def test_cumulative_sum(self, shape: list[int]) -> None:
        for axis, exclusive, reverse in itertools.product(range(len(shape)), (0, 1), (0, 1)):
            assert_operator_agrees("CumSum", {"x": shape}, {"a": np.array(axis)}, exclusive=exclusive, reverse=reverse)


@pytest.mark.parametrize("shape", [[1, 4], [3, 4]], ids=str)
def test_entries_at_fixed_positions(shape: list[int]) -> None:
    rows = shape[0]
    assert_operator_agrees("GatherElements", {"x": shape}, {"i": np.array([[0, -1, 2]] * rows)}, axis=1)
    assert_operator_agrees("GatherND", {"x": shape}, {"i": np.array([[0, 1], [0, 3]])})
    assert_operator_agrees("GatherND", {"x": shape}, {"i": np.array([[0], [0]])})
    assert_operator_agrees("GatherND", {"x": shape}, {"i": np.array([[1]] * rows)}, batch_dims=1)


@pytest.mark.parametrize("shape", [[1, 4], [3, 4]], ids=str)
def test_entries_replaced_at_fixed_positions(shape: list[int]) -> None:
    positions, fresh = np.array([[0, 1], [0, 3]]), weights(2)
    names = ["x", "i", "u"]
    assert_operator_agrees("ScatterND", {"x": shape}, {"i": positions, "u": fresh})
    assert_operator_agrees("ScatterND", {"x": shape, "u": [2]}, {"i": positions}, names=names)
    assert_operator_agrees("ScatterND", {"u": [2]}, {"x": weights(*shape), "i": positions}, names=names)
    turned = {"i": np.array([[3, 2, 1, 0]] * shape[0])}
    assert_operator_agrees("ScatterElements", {"x": shape, "u": shape}, turned, names=names, axis=1)


def test_blocks() -> None:
    for shape in ([1, 8, 2, 2], [2, 8, 2, 2]):
        for mode in ("DCR", "CRD"):
            assert_operator_agrees("DepthToSpace", {"x": shape}, blocksize=2, mode=mode)
        assert_operator_agrees("SpaceToDepth", {"x": shape}, blocksize=2)


def test_triangles() -> None:
    assert_operator_agrees("Trilu", {"x": [2, 3, 3]}, upper=0)
    assert_operator_agrees("Trilu", {"x": [1, 3, 3]}, {"k": np.array(1)}, upper=1)


@pytest.mark.parametrize("opset, sizes", [(7, [1, 3]), (11, [2, 2]), (13, [1, 3]), (13, [4])])
def test_split(opset: int, sizes: list[int]) -> None:
    parts = ["a", "b"][: len(sizes)]
    for shape, axis in (([1, 4], 1), ([4, 3], 0)):
        if opset < 13:
            split = node("Split", ["x"], parts, axis=axis, split=sizes)
        else:
            split = node("Split", ["x", "sizes"], parts, axis=axis)
        constants = {"sizes": whole(*sizes)} if opset >= 13 else {}
        assert_agrees(model([split, node("Neg", [parts[-1]])], {"x": shape}, constants, opset=opset), {"x": shape})


def test_split_evenly() -> None:
    layers = [node("Split", ["x"], ["a", "b"], axis=1), node("Sub", ["a", "b"])]
    assert_agrees(model(layers, {"x": [1, 4]}, opset=11), {"x": [1, 4]})
    layers = [node("Split", ["x"], ["a", "b"], axis=1, num_outputs=2), node("Neg", ["b"])]
    assert_agrees(model(layers, {"x": [1, 5]}, opset=18), {"x": [1, 5]})


def test_shapes_are_folded() -> None:
    """What exporters write for x.view(x.shape[0], -1), and a class token repeated for each sample."""
    layers = [
        node("Shape", ["x"], "shape"),
        node("Gather", ["shape", "zero"], "batch", axis=0),
        node("Unsqueeze", ["batch", "axes"], "first"),
        node("Concat", ["first", "rest"], "target", axis=0),
        node("Concat", ["first", "two"], "both", axis=0),
        node("Reshape", ["x", "target"], "flat"),
        node("Expand", ["token", "both"], "tokens"),
        node("Concat", ["flat", "tokens"], axis=1),
    ]
    constants = {
        "zero": np.array(0),
        "axes": whole(0),
        "rest": whole(-1),
        "two": whole(2),
        "token": weights(1, 2),
    }
    proto = model(layers, {"x": ["N", 3, 2, 2]}, constants)
    assert_agrees(proto, {"x": [1, 3, 2, 2]})


def test_constants_are_folded() -> None:
    layers = [
        node("ConstantOfShape", ["shape"], "zeros"),
        node("Range", ["start", "limit", "delta"], "range"),
        node("Add", ["zeros", "range"], "sum"),
        node("Where", ["mask", "sum", "range"], "chosen"),
        node("Add", ["x", "chosen"]),
    ]
    constants = {
        "shape": whole(2, 3),
        "start": np.array(0, np.float32),
        "limit": np.array(3, np.float32),
        "delta": np.array(1, np.float32),
        "mask": np.array([True, False, True]),
    }
    assert_agrees(model(layers, {"x": [1, 3]}, constants), {"x": [1, 3]})
