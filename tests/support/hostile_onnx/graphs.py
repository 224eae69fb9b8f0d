"""Graphs that are long, wide or deep, and loops that never end."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper
from support.hostile_onnx.building import floats, ints, node, save


def _chain(kind: str, length: int, *operands: str) -> list[onnx.NodeProto]:
    names = ["x", *(f"h{place}" for place in range(length - 1)), "y"]
    return [node(kind, [names[place], *operands], names[place + 1]) for place in range(length)]


save("5000 Relu", _chain("Relu", 5000))
save("5000 Unsqueeze", _chain("Unsqueeze", 5000, "a"), {"a": ints(0)})
save("5000 unsupported", _chain("Det", 5000))
save("100000 Relu", _chain("Relu", 100000))
save("Sum of 50000", [node("Sum", ["x"] * 50000)])
save("Concat of 50000", [node("Concat", ["x"] * 50000, axis=1)])
save(
    "Split into 30000",
    [node("Split", ["x"], *(f"s{p}" for p in range(30000)), axis=1), node("Relu", ["s0"])],
    None,
    (1, 30000),
)
save(
    "500 folded constants",
    [*(node("Neg", [f"c{p}"], f"c{p + 1}") for p in range(500)), node("Add", ["x", "c500"])],
    {"c0": floats(4)},
)


def _body(inner: onnx.NodeProto) -> onnx.GraphProto:
    ends = [helper.make_tensor_value_info(inner.output[0], TensorProto.FLOAT, None)]
    return helper.make_graph([inner], "body", [], ends)


def _if(inner: onnx.NodeProto, output: str) -> onnx.NodeProto:
    return node("If", ["t"], output, then_branch=_body(inner), else_branch=_body(inner))


def _branches(depth: int) -> onnx.NodeProto:
    """Nested If operators; both branches hold the next one, so there are 2^depth operators."""
    inner = node("Relu", ["x"], "r")
    for level in range(depth):
        inner = _if(inner, f"b{level}" if level < depth - 1 else "y")
    return inner


save("nested branches", [_branches(10)], {"t": np.array(True)})
save("branches in a row", [_if(node("Relu", [f"b{p}" if p else "x"], f"r{p}"), f"b{p + 1}") for p in range(300)]
      + [node("Relu", ["b300"])], {"t": np.array(True)})  # fmt: skip


def loop(*, constant: bool, output: str = "l") -> onnx.NodeProto:
    """An endless loop over the input, or over a constant."""
    body = helper.make_graph(
        [node("Identity", ["go"], "on"), node("Relu", ["v"], "w")],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v", TensorProto.FLOAT, None),
        ],
        [helper.make_tensor_value_info("on", TensorProto.BOOL, []), helper.make_tensor_value_info("w", 1, None)],
    )
    return node("Loop", ["n", "t", "c" if constant else "x"], output, body=body)


ENDLESS_LOOP = {"n": np.array(1 << 60), "t": np.array(True), "c": floats(4)}
save("endless loop", [loop(constant=False, output="y")], ENDLESS_LOOP)
save("endless loop over constants", [loop(constant=True), node("Add", ["x", "l"])], ENDLESS_LOOP)
save("endless loop that nothing reads", [loop(constant=True), node("Relu", ["x"])], ENDLESS_LOOP)
save(
    "huge constant that nothing reads", [node("ConstantOfShape", ["s"], "c"), node("Relu", ["x"])], {"s": ints(1 << 33)}
)
