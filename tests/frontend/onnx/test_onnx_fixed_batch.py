"""Files with a fixed batch size: a network of one sample where samples provably do not mix, and none where they do.

The oracle is the file itself, run with its whole batch: the network of one sample must give the same for each sample.
Where there is no such network, changing one sample, or the order of all, must change the others' outputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch

from autodual.frontend.onnx import load_onnx_bytes
from autodual.frontend.onnx.runtime import find_runtime

from .models import model, node, weights

BATCH = 3
WHOLE = np.int64


def whole(*entries: int) -> np.ndarray:
    return np.array(entries, dtype=WHOLE)


def chain(*steps: tuple[str, tuple[str, ...], Mapping[str, Any]]) -> list[Any]:
    """Operators one after another, each on the result of the one before and constants of these names."""
    made, before = [], "x"
    for place, (kind, constants, attributes) in enumerate(steps):
        after = "y" if place == len(steps) - 1 else f"h{place}"
        made.append(node(kind, [before, *constants], after, **attributes))
        before = after
    return made


def step(kind: str, *constants: str, **attributes: Any) -> tuple[str, tuple[str, ...], Mapping[str, Any]]:
    return kind, constants, attributes


HEADS = [
    step("Reshape", "split"),
    step("Transpose", perm=[0, 2, 1, 3]),
    step("Reshape", "merged"),
    step("Softmax", axis=-1),
    step("MatMul", "square"),
    step("Reshape", "apart"),
    step("Transpose", perm=[0, 2, 1, 3]),
    step("Reshape", "flat"),
]
CONSTANTS = {
    "split": whole(BATCH, 3, 2, 2), "merged": whole(BATCH * 2, 3, 2), "apart": whole(BATCH, 2, 3, 2),
    "flat": whole(BATCH, 12), "square": weights(2, 2), "back": whole(BATCH, -1),
    "rows": whole(BATCH * 3, 4), "deep": weights(4, 4), "bias": np.repeat(weights(1, 4), BATCH, 0),
    "different": weights(BATCH, 4), "kernel": weights(2, 1, 2, 2), "zero": whole(0), "one": whole(1), "two": whole(2),
    "all": whole(2**31 - 1), "times": whole(1, 2), "pads": whole(0, 1, 0, 2),
    "sizes": whole(BATCH, 1, 6, 8), "scales": np.array([1, 1, 2, 1.5], np.float32),
    "nearly": np.array([1.2, 1, 1, 1], np.float32), "picked": whole(1, 0), "other": whole(4, BATCH), 
    "scale": weights(4), "aside": whole(1, 0, 1, 0), "w": weights(1, 12, 4), "r": weights(1, 12, 3),
    "state": np.repeat(weights(1, 1, 3), BATCH, 1), "states": weights(1, BATCH, 3), "b": weights(1, 24),
    "axis1": whole(1), "axis0": whole(0), 
    "leading": weights(1, 4, 5), "many": weights(BATCH, 4, 5),
}  # fmt: skip
ROW, SEQUENCE, IMAGE = (4,), (3, 4), (1, 4, 4)

KEPT = {
    "layers": (ROW, [step("Gemm", "deep", "scale"), step("Relu"), step("Add", "bias"), step("Softmax", axis=1)]),
    "heads": (SEQUENCE, HEADS),
    "rows of all samples": (SEQUENCE, [step("Reshape", "rows"), step("MatMul", "deep"), step("Reshape", "flat")]),
    "images": (IMAGE, [step("Conv", "kernel"), step("MaxPool", kernel_shape=[2, 2]), step("Reshape", "back")]),
    "flattened": (IMAGE, [step("GlobalAveragePool"), step("Flatten"), step("Expand", "back2")]),
    "a sequence first": (
        SEQUENCE,
        [step("Transpose", perm=[1, 0, 2]), step("MatMul", "deep"), step("Transpose", perm=[1, 0, 2])],
    ),
    "parts": (
        SEQUENCE,
        [step("Gather", "picked", axis=1), step("Slice", "one", "two", "two"), step("Reshape", "back")],
    ),
    "all samples of a slice": (ROW, [step("Slice", "zero", "all", "zero")]),
    "padded": (ROW, [step("Pad", "pads"), step("Tile", "times")]),
    "resized to sizes": (IMAGE, [step("Resize", "", "", "sizes", mode="linear")]),
    "resized by factors": (IMAGE, [step("Resize", "", "scales", mode="nearest")]),
    "normalised": (SEQUENCE, [step("LayerNormalization", "scale"), step("ReduceMean", axes=[1], keepdims=0)]),
    "all samples of one axis": (SEQUENCE, [step("ReduceMax", axes=[1], keepdims=1), step("Squeeze", "axis1")]),
    "a product of stacks": (
        SEQUENCE,
        [step("MatMul", "leading"), step("Unsqueeze", "axis1"), step("Squeeze", "axis1")],
    ),
    "running sums": (ROW, [step("CumSum", "axis1"), step("LogSoftmax", axis=-1)]),
}
MIXED = {
    "a mean of all": (ROW, [step("ReduceMean", axes=[0], keepdims=1), step("Expand", "back4")]),
    "a mean of everything": (ROW, [step("ReduceSum", keepdims=1), step("Expand", "back4")]),
    "scores of all": (ROW, [step("Softmax", axis=0)]),
    "old scores of all": (SEQUENCE, [step("Softmax", axis=0)]),
    "turned": (SEQUENCE, [step("Transpose", perm=[1, 0, 2])]),
    "turned and read the other way": (ROW, [step("Transpose", perm=[1, 0]), step("Reshape", "bath4")]),
    "cut apart": (ROW, [step("Reshape", "other"), step("CumSum", "axis1"), step("Reshape", "bath4")]),
    "rolled": (ROW, [step("Concat", "different", axis=0), step("Slice", "one", "four", "zero")]),
    "one row": (ROW, [step("Gather", "picked1", axis=0), step("Expand", "back4")]),
    "padded": (ROW, [step("Pad", "aside"), step("Slice", "zero", "three", "zero")]),
    "a bias of each": (ROW, [step("Add", "different")]),
    "a matrix of each": (SEQUENCE, [step("MatMul", "many")]),
    "summed": (ROW, [step("CumSum", "axis0")]),
    "resized": (IMAGE, [step("Resize", "", "nearly", mode="linear")]),
    "products of samples": (ROW, [step("Gemm", "square3", transA=1), step("Transpose", perm=[1, 0])]),
    "statistics": (SEQUENCE, [step("MeanVarianceNormalization", axes=[0, 2])]),
}
CONSTANTS |= {
    "back2": whole(BATCH, 3), "back4": whole(BATCH, 4), "bath4": whole(BATCH, 4), "four": whole(4), "three": whole(3),
    "picked1": whole(1), "square3": weights(3, 3),
}  # fmt: skip


def built(shape: tuple[int, ...], steps: list[Any], opset: int = 17) -> Any:
    used = {name for _, names, _ in steps for name in names if name}
    return model(chain(*steps), {"x": [BATCH, *shape]}, {name: CONSTANTS[name] for name in used}, opset=opset)


@pytest.mark.parametrize("name", KEPT)
def test_a_sample_has_the_same_outputs_alone_and_in_its_batch(name: str) -> None:
    shape, steps = KEPT[name]
    proto = built(shape, steps)
    network = load_onnx_bytes("model", proto.SerializeToString())
    assert network.single_shapes == (shape,), network.not_single
    _, run = find_runtime(proto, ["y"])
    x = np.random.default_rng(3).standard_normal((BATCH, *shape)).astype(np.float32)
    expected = run({"x": x})[0]
    found = network(torch.from_numpy(x))
    assert found.shape == expected.shape
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-4, atol=1e-5)
    one = network(torch.from_numpy(x[1:2])).detach().numpy()
    np.testing.assert_allclose(one, expected[1:2], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", MIXED)
def test_samples_that_mix_have_no_network_of_one_sample(name: str) -> None:
    shape, steps = MIXED[name]
    proto = built(shape, steps, opset=11 if name.startswith("old") else 13)
    network = load_onnx_bytes("model", proto.SerializeToString())
    assert network.single is None and network.not_single
    _, run = find_runtime(proto, ["y"])
    x = np.random.default_rng(3).standard_normal((BATCH, *shape)).astype(np.float32)
    other, order, expected = x.copy(), [2, 0, 1], run({"x": x})[0]
    other[0] += 1
    changed, turned = run({"x": other})[0], run({"x": x[order]})[0]
    independent = len(expected) == BATCH and np.allclose(changed[1:], expected[1:], rtol=1e-4, atol=1e-5)
    assert not independent or not np.allclose(turned, expected[order], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("state", ["state", "states", ""])
@pytest.mark.parametrize("opset", [13, 14])
def test_recurrent_layers(state: str, opset: int) -> None:
    leading = {"layout": 1} if opset == 14 and not state else {}
    operands = ["x" if leading else "t", "w", "r", "b", "", state, state][: 7 if state else 4]
    before = [] if leading else [node("Transpose", ["x"], "t", perm=[1, 0, 2])]
    after = node("Squeeze", ["h", "axis1" if leading else "axis0"])
    layers = [*before, node("LSTM", operands, ["", "h", ""], hidden_size=3, **leading), after]
    if leading:  # onnxruntime does not run this form; the reference implementation does
        pytest.importorskip("onnx.reference")
    proto = model(layers, {"x": [BATCH, 3, 4]}, CONSTANTS, opset=opset)
    network = load_onnx_bytes("model", proto.SerializeToString(), check=not leading)
    if state == "states":
        assert network.single is None and "not the same for all samples" in network.not_single
        return
    assert network.single_shapes == ((3, 4),), network.not_single
    x = torch.from_numpy(weights(BATCH, 3, 4))
    torch.testing.assert_close(network(x), network(x[None])[0])


def test_a_factor_made_of_the_batch_size_keeps_its_value() -> None:
    nodes = [
        node("Shape", ["x"], "s"),
        node("Gather", ["s", "zero"], "n", axis=0),
        node("Cast", ["n"], "f", to=1),
        node("Mul", ["x", "f"]),
    ]
    proto = model(nodes, {"x": [BATCH, 4]}, {"zero": whole(0)})
    network = load_onnx_bytes("model", proto.SerializeToString())
    torch.testing.assert_close(network(torch.ones(2, 4)), torch.full((2, 4), float(BATCH)))


def test_two_inputs_must_have_the_same_batch_axis() -> None:
    layers = [node("Add", ["x", "z"])]
    network = load_onnx_bytes("model", model(layers, {"x": [BATCH, 4], "z": [BATCH, 4]}).SerializeToString())
    assert network.single_shapes == ((4,), (4,))
    network = load_onnx_bytes("model", model(layers, {"x": [3, 3, 4], "z": [3, 4]}).SerializeToString())
    assert network.single is None and "other axes" in network.not_single
    network = load_onnx_bytes("model", model(layers, {"x": [BATCH, 4], "z": [1, 4]}).SerializeToString())
    assert network.single is None


def test_a_large_batch_is_not_unrolled() -> None:
    """One convolution for each of 4,000 images would make 4,000 operators."""
    layers = [node("Conv", ["x", "kernel"], "h"), node("Flatten", ["h"])]
    proto = model(layers, {"x": [4000, 1, 2, 2]}, {"kernel": weights(2, 1, 2, 2)})
    network = load_onnx_bytes("model", proto.SerializeToString())
    assert network.input_shapes == ((1, 2, 2),) and network.output_shape == (2,)
