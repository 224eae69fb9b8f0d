"""Values far larger than the file that describes them."""

from __future__ import annotations

import numpy as np
import onnx
from support.hostile_onnx.building import HUGE, applied, constant, floats, ints, node, save

for _extent in (1 << 28, HUGE):  # more than memory should hold, and more than any memory can hold
    constant(f"ConstantOfShape {_extent}", "ConstantOfShape", {"s": ints(_extent)})
    constant(f"Expand {_extent}", "Expand", {"a": floats(1), "s": ints(_extent)})
    constant(f"Tile {_extent}", "Tile", {"a": floats(1), "s": ints(_extent)})
    constant(f"Range {_extent}", "Range", {"a": np.array(0), "b": np.array(_extent), "c": np.array(1)})
    constant(f"OneHot {_extent}", "OneHot", {"a": ints(1), "b": np.array(_extent), "c": floats(2)})
    constant(f"Pad {_extent}", "Pad", {"a": floats(1), "s": ints(_extent, 0)})
    constant(f"HannWindow {_extent}", "HannWindow", {"a": np.array(_extent)})
    constant(f"Resize {_extent}", "Resize", {"a": floats(1, 1, 2), "b": None, "c": None, "s": ints(1, 1, _extent)})
    applied(f"Expand {_extent}", "Expand", {"s": ints(_extent, 1, 4, 4)})
    applied(f"Tile {_extent}", "Tile", {"s": ints(1, 1, 1, _extent)})
    applied(f"Pad {_extent}", "Pad", {"s": ints(0, 0, 0, _extent, 0, 0, 0, 0)})
    applied(f"edge Pad {_extent}", "Pad", {"s": ints(0, 0, 0, _extent, 0, 0, 0, 0)}, mode="edge")
    applied(f"cropping Pad {_extent}", "Pad", {"s": ints(0, 0, 0, _extent, 0, 0, 0, -_extent)})
    applied(f"Resize {_extent}", "Resize", {"b": None, "c": None, "s": ints(1, 1, _extent, 4)})
    applied(f"linear Resize {_extent}", "Resize", {"b": None, "c": None, "s": ints(1, 1, _extent, 4)}, mode="linear")
    applied(f"cubic Resize {_extent}", "Resize", {"b": None, "c": None, "s": ints(1, 1, 4, _extent)}, mode="cubic")
    applied(f"Upsample {_extent}", "Upsample", {"s": np.array([1, 1, _extent, 1], np.float32)}, opset=9)
    applied(f"Reshape {_extent}", "Reshape", {"s": ints(_extent, -1)})
    applied(f"OneHot {_extent}", "OneHot", {"b": np.array(_extent), "c": floats(2)})
    applied(f"Conv pads {_extent}", "Conv", {"w": floats(1, 1, 2, 2)}, pads=[_extent, 0, 0, 0])
    applied(f"Conv dilations {_extent}", "Conv", {"w": floats(1, 1, 2, 2)}, dilations=[_extent, 1])
    applied(
        f"Conv dilated and padded {_extent}",
        "Conv",
        {"w": floats(1, 1, 2, 2)},
        dilations=[_extent, 1],
        pads=[_extent, 0, 0, 0],
    )
    applied(f"Conv groups {_extent}", "Conv", {"w": floats(1, 1, 2, 2)}, group=_extent)
    applied(f"ConvTranspose strides {_extent}", "ConvTranspose", {"w": floats(1, 1, 2, 2)}, strides=[_extent, 1])
    applied(f"ConvTranspose shape {_extent}", "ConvTranspose", {"w": floats(1, 1, 2, 2)}, output_shape=[_extent, 4])
    applied(
        f"ConvTranspose padding {_extent}",
        "ConvTranspose",
        {"w": floats(1, 1, 2, 2)},
        strides=[_extent, 1],
        output_padding=[_extent - 1, 0],
    )
    applied(f"MaxPool pads {_extent}", "MaxPool", kernel_shape=[_extent, 1], pads=[_extent - 1, 0, _extent - 1, 0])
    applied(f"MaxPool kernel {_extent}", "MaxPool", kernel_shape=[_extent, 1], pads=[_extent - 4, 0, 0, 0])
    applied(f"AveragePool kernel {_extent}", "AveragePool", kernel_shape=[_extent, 1], pads=[_extent - 4, 0, 0, 0])
    applied(f"AveragePool pads {_extent}", "AveragePool", kernel_shape=[2, 2], pads=[_extent, 0, 0, 0])
    applied(f"LpPool kernel {_extent}", "LpPool", kernel_shape=[_extent, 1], pads=[_extent - 4, 0, 0, 0])
    applied(f"LRN {_extent}", "LRN", size=_extent)
    applied(f"Split {_extent}", "Split", axis=1, num_outputs=_extent, opset=18)
    applied(f"DepthToSpace {_extent}", "DepthToSpace", blocksize=_extent)
    applied(f"SpaceToDepth {_extent}", "SpaceToDepth", blocksize=_extent)
    applied(f"Slice {_extent}", "Slice", {"a": ints(-_extent), "b": ints(_extent), "c": ints(0), "d": ints(_extent)})
    applied(f"Gather {_extent}", "Gather", {"a": ints(_extent)})
    applied(f"input of extent {_extent}", "Relu", shape=(1, _extent))

constant("outer Einsum", "Einsum", {"a": floats(1 << 15), "b": floats(1 << 15)}, equation="a,b->ab")
constant(
    "long Einsum", "Einsum", {"a": floats(1 << 12), "b": floats(1 << 12), "c": floats(1 << 12)}, equation="a,b,c->"
)
constant("outer Add", "Add", {"a": floats(1 << 15, 1), "b": floats(1, 1 << 15)})
constant("outer MatMul", "MatMul", {"a": floats(1 << 15, 1), "b": floats(1, 1 << 15)})
constant("wide Conv", "Conv", {"a": floats(1, 1, 1 << 16), "b": floats(1, 1, 1 << 15)}, pads=[1 << 15, 1 << 15])
constant("negative ConstantOfShape", "ConstantOfShape", {"s": ints(-5)})
constant("wrapping ConstantOfShape", "ConstantOfShape", {"s": ints(1 << 32, 1 << 32)})
constant("wrapping Tile", "Tile", {"a": floats(4), "s": ints(1 << 62)})
constant("endless Range", "Range", {"a": np.array(0.0), "b": np.array(1.0), "c": np.array(1e-300)})
constant("still Range", "Range", {"a": np.array(0), "b": np.array(1), "c": np.array(0)})
applied("outer Einsum", "Einsum", {"b": floats(1 << 15)}, shape=(1, 1 << 15), equation="na,b->ab")
applied("outer MatMul", "MatMul", {"b": floats(1, 1 << 15)}, shape=(1 << 15, 1))
applied("outer Mul", "Mul", {"b": floats(1, 1 << 15)}, shape=(1 << 15, 1))
applied("long ArgMax", "ArgMax", shape=(1, 1 << 20), axis=1)
applied("long ReduceProd", "ReduceProd", shape=(1, 1 << 20), axes=[1])
applied("long LRN", "LRN", shape=(1, 1 << 20, 1, 1), size=1 << 20)
applied(
    "tall linear Resize",
    "Resize",
    {"b": None, "c": None, "s": ints(1, 1, 1 << 14, 1)},
    shape=(1, 1, 1 << 14, 1),
    mode="linear",
)
applied(
    "long Resize", "Resize", {"b": None, "c": None, "s": ints(1, 1, 1 << 20, 1)}, shape=(1, 1, 1 << 19, 1), mode="cubic"
)
applied("tall Trilu", "Trilu", shape=(1 << 16, 1 << 16))
applied(
    "wide AveragePool",
    "AveragePool",
    shape=(1, 1, 1 << 10, 1 << 10),
    kernel_shape=[1 << 10, 1 << 10],
    pads=[1000, 1000, 1000, 1000],
)
applied("wide MaxPool", "MaxPool", shape=(1, 1, 1 << 10, 1 << 10), kernel_shape=[1 << 9, 1 << 9])
applied("many samples", "Conv", {"w": floats(1, 1, 2, 2)}, shape=(1 << 18, 1, 2, 2))
applied("GatherElements", "GatherElements", {"i": np.zeros((1 << 18, 1), np.int64)}, shape=(1 << 18, 1))
applied("rank 100", "Relu", shape=(1,) * 100)
applied("rank 5000", "Relu", shape=(1,) * 5000)
applied("Reshape to rank 100", "Reshape", {"s": np.ones(100, np.int64)}, shape=(1,))
applied("no strides", "Conv", {"w": floats(1, 1, 2, 2)}, strides=[0, 0])
applied("no groups", "Conv", {"w": floats(1, 1, 2, 2)}, group=0)
applied("empty kernel", "Conv", {"w": floats(1, 1, 0, 2)})
applied("negative kernel", "MaxPool", kernel_shape=[-1, -1])
applied("two open extents", "Reshape", {"s": ints(-1, -1)})


def _doubling(kind: str, start: str, times: int, **attributes: object) -> list[onnx.NodeProto]:
    names = [start, *(f"d{place}" for place in range(times))]
    return [node(kind, [names[p], names[p]], names[p + 1], **attributes) for p in range(times)]


save("Concat doublings", [*_doubling("Concat", "x", 60, axis=1), node("ReduceMax", ["d59"])])
save("Concat doublings to 2^25", [*_doubling("Concat", "x", 23, axis=1), node("ReduceMax", ["d22"])])
save(
    "Concat doublings of a constant",
    [*_doubling("Concat", "c", 60, axis=0), node("ReduceMax", ["d59"], "m", keepdims=0), node("Add", ["x", "m"])],
    {"c": floats(4)},
)
save("Add doublings", [*_doubling("Add", "x", 60), node("Relu", ["d59"])])
save("Mul doublings", [*_doubling("Mul", "x", 12), node("Relu", ["d11"])])
save("MatMul powers", [*_doubling("MatMul", "x", 12), node("Relu", ["d11"])], None, (4, 4))
save(
    "many copies of one constant",
    [node("Expand", ["c", "s"], "e"), *(node("Add", [f"a{p}" if p else "x", "e"], f"a{p + 1}") for p in range(100)),
     node("ReduceMax", ["a100"])],
    {"c": floats(1), "s": ints(1 << 22)}, (1, 1),
)  # fmt: skip
save(
    "products of large constants",
    [node("ConstantOfShape", ["s"], "c"), *_doubling("MatMul", "c", 20), node("ReduceMax", ["d19"], "m", keepdims=0),
     node("Add", ["x", "m"])],
    {"s": ints(2048, 2048)},
)  # fmt: skip
