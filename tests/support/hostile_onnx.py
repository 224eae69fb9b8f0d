"""ONNX files that claim far more than they hold, contradict themselves, or point where they must not.

`CASES` maps a name to a writer, `writer(path)`, which makes the file and whatever lies beside it. Every file must be
refused in one sentence, or load, within the time and memory that an honest small file may take.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Writer = Callable[[Path], None]
Nodes = Sequence[onnx.NodeProto]

HUGE = 1 << 40
CASES: dict[str, Writer] = {}


def _case(writer: Writer) -> Writer:
    CASES[writer.__name__.replace("_", " ")] = writer
    return writer


# --- building blocks -------------------------------------------------------------------------------------------------


def model(
    nodes: Nodes,
    constants: Mapping[str, np.ndarray] | None = None,
    shape: Sequence[int | str] = (1, 4),
    functions: Sequence[onnx.FunctionProto] = (),
    opset: int = 17,
) -> onnx.ModelProto:
    """A model from `x` to `y`."""
    graph = helper.make_graph(
        list(nodes),
        "network",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in (constants or {}).items()],
    )
    domains = sorted({function.domain for function in functions} - {""})
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    return helper.make_model(graph, functions=list(functions), opset_imports=opsets, ir_version=8)


def node(kind: str, inputs: Sequence[str], *outputs: str, **attributes: object) -> onnx.NodeProto:
    return helper.make_node(kind, list(inputs), list(outputs) or ["y"], **attributes)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def floats(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


def _save(name: str, *arguments: object, **options: object) -> None:
    """Register a model without any trick in how it is stored."""
    CASES[name] = lambda path: path.write_bytes(model(*arguments, **options).SerializeToString())  # type: ignore


def _constant(name: str, kind: str, operands: Mapping[str, np.ndarray | None], **attributes: object) -> None:
    """An operator on constants whose result is added to the input."""
    opset = attributes.pop("opset", 17)
    names = [key if value is not None else "" for key, value in operands.items()]
    held = {key: value for key, value in operands.items() if value is not None}
    nodes = [node(kind, names, "c", **attributes), node("ReduceMax", ["c"], "m", keepdims=0), node("Add", ["x", "m"])]
    _save(f"constant {name}", nodes, held, opset=opset)


def _applied(
    name: str,
    kind: str,
    operands: Mapping[str, np.ndarray | None] | None = None,
    shape: Sequence[int] = (1, 1, 4, 4),
    **attributes: object,
) -> None:
    """An operator on the input."""
    opset = attributes.pop("opset", 17)
    names = ["x", *(key if value is not None else "" for key, value in (operands or {}).items())]
    held = {key: value for key, value in (operands or {}).items() if value is not None}
    _save(f"applied {name}", [node(kind, names, **attributes)], held, shape=shape, opset=opset)


# --- results far larger than the file --------------------------------------------------------------------------------

for _extent in (1 << 28, HUGE):  # more than the memory should hold, and more than any could
    _constant(f"ConstantOfShape {_extent}", "ConstantOfShape", {"s": ints(_extent)})
    _constant(f"Expand {_extent}", "Expand", {"a": floats(1), "s": ints(_extent)})
    _constant(f"Tile {_extent}", "Tile", {"a": floats(1), "s": ints(_extent)})
    _constant(f"Range {_extent}", "Range", {"a": np.array(0), "b": np.array(_extent), "c": np.array(1)})
    _constant(f"OneHot {_extent}", "OneHot", {"a": ints(1), "b": np.array(_extent), "c": floats(2)})
    _constant(f"Pad {_extent}", "Pad", {"a": floats(1), "s": ints(_extent, 0)})
    _constant(f"HannWindow {_extent}", "HannWindow", {"a": np.array(_extent)})
    _constant(f"Resize {_extent}", "Resize", {"a": floats(1, 1, 2), "b": None, "c": None, "s": ints(1, 1, _extent)})
    _applied(f"Expand {_extent}", "Expand", {"s": ints(_extent, 1, 4, 4)})
    _applied(f"Tile {_extent}", "Tile", {"s": ints(1, 1, 1, _extent)})
    _applied(f"Pad {_extent}", "Pad", {"s": ints(0, 0, 0, _extent, 0, 0, 0, 0)})
    _applied(f"edge Pad {_extent}", "Pad", {"s": ints(0, 0, 0, _extent, 0, 0, 0, 0)}, mode="edge")
    _applied(f"cropping Pad {_extent}", "Pad", {"s": ints(0, 0, 0, _extent, 0, 0, 0, -_extent)})
    _applied(f"Resize {_extent}", "Resize", {"b": None, "c": None, "s": ints(1, 1, _extent, 4)})
    _applied(f"linear Resize {_extent}", "Resize", {"b": None, "c": None, "s": ints(1, 1, _extent, 4)}, mode="linear")
    _applied(f"cubic Resize {_extent}", "Resize", {"b": None, "c": None, "s": ints(1, 1, 4, _extent)}, mode="cubic")
    _applied(f"Upsample {_extent}", "Upsample", {"s": np.array([1, 1, _extent, 1], np.float32)}, opset=9)
    _applied(f"Reshape {_extent}", "Reshape", {"s": ints(_extent, -1)})
    _applied(f"OneHot {_extent}", "OneHot", {"b": np.array(_extent), "c": floats(2)})
    _applied(f"Conv pads {_extent}", "Conv", {"w": floats(1, 1, 2, 2)}, pads=[_extent, 0, 0, 0])
    _applied(f"Conv dilations {_extent}", "Conv", {"w": floats(1, 1, 2, 2)}, dilations=[_extent, 1])
    _applied(
        f"Conv dilated and padded {_extent}",
        "Conv",
        {"w": floats(1, 1, 2, 2)},
        dilations=[_extent, 1],
        pads=[_extent, 0, 0, 0],
    )
    _applied(f"Conv groups {_extent}", "Conv", {"w": floats(1, 1, 2, 2)}, group=_extent)
    _applied(f"ConvTranspose strides {_extent}", "ConvTranspose", {"w": floats(1, 1, 2, 2)}, strides=[_extent, 1])
    _applied(f"ConvTranspose shape {_extent}", "ConvTranspose", {"w": floats(1, 1, 2, 2)}, output_shape=[_extent, 4])
    _applied(
        f"ConvTranspose padding {_extent}",
        "ConvTranspose",
        {"w": floats(1, 1, 2, 2)},
        strides=[_extent, 1],
        output_padding=[_extent - 1, 0],
    )
    _applied(f"MaxPool pads {_extent}", "MaxPool", kernel_shape=[_extent, 1], pads=[_extent - 1, 0, _extent - 1, 0])
    _applied(f"MaxPool kernel {_extent}", "MaxPool", kernel_shape=[_extent, 1], pads=[_extent - 4, 0, 0, 0])
    _applied(f"AveragePool kernel {_extent}", "AveragePool", kernel_shape=[_extent, 1], pads=[_extent - 4, 0, 0, 0])
    _applied(f"AveragePool pads {_extent}", "AveragePool", kernel_shape=[2, 2], pads=[_extent, 0, 0, 0])
    _applied(f"LpPool kernel {_extent}", "LpPool", kernel_shape=[_extent, 1], pads=[_extent - 4, 0, 0, 0])
    _applied(f"LRN {_extent}", "LRN", size=_extent)
    _applied(f"Split {_extent}", "Split", axis=1, num_outputs=_extent, opset=18)
    _applied(f"DepthToSpace {_extent}", "DepthToSpace", blocksize=_extent)
    _applied(f"SpaceToDepth {_extent}", "SpaceToDepth", blocksize=_extent)
    _applied(f"Slice {_extent}", "Slice", {"a": ints(-_extent), "b": ints(_extent), "c": ints(0), "d": ints(_extent)})
    _applied(f"Gather {_extent}", "Gather", {"a": ints(_extent)})
    _applied(f"input of extent {_extent}", "Relu", shape=(1, _extent))

_constant("outer Einsum", "Einsum", {"a": floats(1 << 15), "b": floats(1 << 15)}, equation="a,b->ab")
_constant(
    "long Einsum", "Einsum", {"a": floats(1 << 12), "b": floats(1 << 12), "c": floats(1 << 12)}, equation="a,b,c->"
)
_constant("outer Add", "Add", {"a": floats(1 << 15, 1), "b": floats(1, 1 << 15)})
_constant("outer MatMul", "MatMul", {"a": floats(1 << 15, 1), "b": floats(1, 1 << 15)})
_constant("wide Conv", "Conv", {"a": floats(1, 1, 1 << 16), "b": floats(1, 1, 1 << 15)}, pads=[1 << 15, 1 << 15])
_constant("negative ConstantOfShape", "ConstantOfShape", {"s": ints(-5)})
_constant("wrapping ConstantOfShape", "ConstantOfShape", {"s": ints(1 << 32, 1 << 32)})
_constant("wrapping Tile", "Tile", {"a": floats(4), "s": ints(1 << 62)})
_constant("endless Range", "Range", {"a": np.array(0.0), "b": np.array(1.0), "c": np.array(1e-300)})
_constant("still Range", "Range", {"a": np.array(0), "b": np.array(1), "c": np.array(0)})
_applied("outer Einsum", "Einsum", {"b": floats(1 << 15)}, shape=(1, 1 << 15), equation="na,b->ab")
_applied("outer MatMul", "MatMul", {"b": floats(1, 1 << 15)}, shape=(1 << 15, 1))
_applied("outer Mul", "Mul", {"b": floats(1, 1 << 15)}, shape=(1 << 15, 1))
_applied("long ArgMax", "ArgMax", shape=(1, 1 << 20), axis=1)
_applied("long ReduceProd", "ReduceProd", shape=(1, 1 << 20), axes=[1])
_applied("long LRN", "LRN", shape=(1, 1 << 20, 1, 1), size=1 << 20)
_applied(
    "tall linear Resize",
    "Resize",
    {"b": None, "c": None, "s": ints(1, 1, 1 << 14, 1)},
    shape=(1, 1, 1 << 14, 1),
    mode="linear",
)
_applied(
    "long Resize", "Resize", {"b": None, "c": None, "s": ints(1, 1, 1 << 20, 1)}, shape=(1, 1, 1 << 19, 1), mode="cubic"
)
_applied("tall Trilu", "Trilu", shape=(1 << 16, 1 << 16))
_applied(
    "wide AveragePool",
    "AveragePool",
    shape=(1, 1, 1 << 10, 1 << 10),
    kernel_shape=[1 << 10, 1 << 10],
    pads=[1000, 1000, 1000, 1000],
)
_applied("wide MaxPool", "MaxPool", shape=(1, 1, 1 << 10, 1 << 10), kernel_shape=[1 << 9, 1 << 9])
_applied("many samples", "Conv", {"w": floats(1, 1, 2, 2)}, shape=(1 << 18, 1, 2, 2))
_applied("GatherElements", "GatherElements", {"i": np.zeros((1 << 18, 1), np.int64)}, shape=(1 << 18, 1))
_applied("rank 100", "Relu", shape=(1,) * 100)
_applied("rank 5000", "Relu", shape=(1,) * 5000)
_applied("Reshape to rank 100", "Reshape", {"s": np.ones(100, np.int64)}, shape=(1,))
_applied("no strides", "Conv", {"w": floats(1, 1, 2, 2)}, strides=[0, 0])
_applied("no groups", "Conv", {"w": floats(1, 1, 2, 2)}, group=0)
_applied("empty kernel", "Conv", {"w": floats(1, 1, 0, 2)})
_applied("negative kernel", "MaxPool", kernel_shape=[-1, -1])
_applied("two open extents", "Reshape", {"s": ints(-1, -1)})


def _doubling(kind: str, start: str, times: int, **attributes: object) -> list[onnx.NodeProto]:
    names = [start, *(f"d{place}" for place in range(times))]
    return [node(kind, [names[p], names[p]], names[p + 1], **attributes) for p in range(times)]


_save("Concat doublings", [*_doubling("Concat", "x", 60, axis=1), node("ReduceMax", ["d59"])])
_save("Concat doublings to 2^25", [*_doubling("Concat", "x", 23, axis=1), node("ReduceMax", ["d22"])])
_save(
    "Concat doublings of a constant",
    [*_doubling("Concat", "c", 60, axis=0), node("ReduceMax", ["d59"], "m", keepdims=0), node("Add", ["x", "m"])],
    {"c": floats(4)},
)
_save("Add doublings", [*_doubling("Add", "x", 60), node("Relu", ["d59"])])
_save("Mul doublings", [*_doubling("Mul", "x", 12), node("Relu", ["d11"])])
_save("MatMul powers", [*_doubling("MatMul", "x", 12), node("Relu", ["d11"])], None, (4, 4))
_save(
    "many copies of one constant",
    [node("Expand", ["c", "s"], "e"), *(node("Add", [f"a{p}" if p else "x", "e"], f"a{p + 1}") for p in range(100)),
     node("ReduceMax", ["a100"])],
    {"c": floats(1), "s": ints(1 << 22)}, (1, 1),
)  # fmt: skip
_save(
    "products of large constants",
    [node("ConstantOfShape", ["s"], "c"), *_doubling("MatMul", "c", 20), node("ReduceMax", ["d19"], "m", keepdims=0),
     node("Add", ["x", "m"])],
    {"s": ints(2048, 2048)},
)  # fmt: skip


# --- long, wide and deep graphs --------------------------------------------------------------------------------------


def _chain(kind: str, length: int, *operands: str) -> list[onnx.NodeProto]:
    names = ["x", *(f"h{place}" for place in range(length - 1)), "y"]
    return [node(kind, [names[place], *operands], names[place + 1]) for place in range(length)]


_save("5000 Relu", _chain("Relu", 5000))
_save("5000 Unsqueeze", _chain("Unsqueeze", 5000, "a"), {"a": ints(0)})
_save("5000 unsupported", _chain("Det", 5000))
_save("100000 Relu", _chain("Relu", 100000))
_save("Sum of 50000", [node("Sum", ["x"] * 50000)])
_save("Concat of 50000", [node("Concat", ["x"] * 50000, axis=1)])
_save(
    "Split into 30000",
    [node("Split", ["x"], *(f"s{p}" for p in range(30000)), axis=1), node("Relu", ["s0"])],
    None,
    (1, 30000),
)
_save(
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
    """Both branches of each hold the next: 2^depth operators."""
    inner = node("Relu", ["x"], "r")
    for level in range(depth):
        inner = _if(inner, f"b{level}" if level < depth - 1 else "y")
    return inner


_save("nested branches", [_branches(10)], {"t": np.array(True)})
_save("branches in a row", [_if(node("Relu", [f"b{p}" if p else "x"], f"r{p}"), f"b{p + 1}") for p in range(1000)]
      + [node("Relu", ["b1000"])], {"t": np.array(True)})  # fmt: skip


def _loop(*, constant: bool, output: str = "l") -> onnx.NodeProto:
    """A loop that never ends, over the input or over nothing."""
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


_LOOP = {"n": np.array(1 << 60), "t": np.array(True), "c": floats(4)}
_save("endless loop", [_loop(constant=False, output="y")], _LOOP)
_save("endless loop over constants", [_loop(constant=True), node("Add", ["x", "l"])], _LOOP)
_save("endless loop that nothing reads", [_loop(constant=True), node("Relu", ["x"])], _LOOP)
_save(
    "huge constant that nothing reads", [node("ConstantOfShape", ["s"], "c"), node("Relu", ["x"])], {"s": ints(1 << 33)}
)


# --- functions -------------------------------------------------------------------------------------------------------


def function(name: str, nodes: Nodes, domain: str = "own") -> onnx.FunctionProto:
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    return helper.make_function(domain, name, ["a"], ["b"], list(nodes), opsets)


def _calls(levels: int, times: int) -> list[onnx.FunctionProto]:
    """Functions that each call the one before some times."""
    found = [function("f0", [node("Relu", ["a"], "b")])]
    for level in range(1, levels):
        names = ["a", *(f"t{place}" for place in range(times - 1)), "b"]
        calls = [node(f"f{level - 1}", [names[p]], names[p + 1], domain="own") for p in range(times)]
        found.append(function(f"f{level}", calls))
    return found


def _calling(name: str, callee: str, functions: Sequence[onnx.FunctionProto], domain: str = "own") -> None:
    _save(name, [node(callee, ["x"], domain=domain)], _LOOP, (1, 4), functions)


_calling("functions that double", "f31", _calls(32, 2))
_calling("functions that grow tenfold", "f7", _calls(8, 10))
_calling("functions 2000 deep", "f1999", _calls(2000, 1))
_F, _G = node("f", ["a"], "b", domain="own"), node("g", ["a"], "b", domain="own")
_NEG, _RELU = node("Neg", ["a"], "b"), node("Relu", ["a"], "b")
_calling("function that calls itself", "f", [function("f", [_F])])
_calling("two functions that call each other", "f", [function("f", [_G]), function("g", [_F])])
_calling("function for Relu", "Relu", [function("Relu", [_NEG], domain="")], domain="")
_calling("function for Gelu", "Gelu", [function("Gelu", [_NEG], domain="com.microsoft")], domain="com.microsoft")
_calling("function defined twice", "f", [function("f", [_NEG]), function("f", [_RELU])])
_ENDLESS = [
    node("Identity", ["a"], "x"),
    node("Constant", [], "n", value_int=1 << 60),
    node("Constant", [], "t", value=numpy_helper.from_array(np.array(True))),
]
_calling("function with an endless loop", "f", [function("f", [*_ENDLESS, _loop(constant=False, output="b")])])
_calling("function with an endless loop that nothing reads", "f",
         [function("f", [*_ENDLESS, _loop(constant=False), _RELU])])  # fmt: skip


# --- tensors that contradict themselves ------------------------------------------------------------------------------


def _weights(change: Callable[[onnx.TensorProto], None], *, attribute: bool = False) -> Writer:
    """A linear layer whose weights `[4, 3]`, an initialiser or the value of a Constant, are changed."""

    def write(path: Path) -> None:
        if attribute:
            proto = model(
                [
                    node("Constant", [], "w", value=numpy_helper.from_array(floats(4, 3), "w")),
                    node("MatMul", ["x", "w"]),
                ]
            )
            change(proto.graph.node[0].attribute[0].t)
        else:
            proto = model([node("MatMul", ["x", "w"])], {"w": floats(4, 3)})
            change(proto.graph.initializer[0])
        path.write_bytes(proto.SerializeToString())

    return write


def _set(**fields: object) -> Callable[[onnx.TensorProto], None]:
    def change(tensor: onnx.TensorProto) -> None:
        for name, value in fields.items():
            if isinstance(value, (list, tuple)):
                tensor.ClearField(name)
                getattr(tensor, name).extend(value)
            else:
                setattr(tensor, name, value)

    return change


for _where in (False, True):
    _place = "attribute" if _where else "weights"
    for _name, _change in {
        "of huge extents": _set(dims=[HUGE, HUGE]),
        "of huge and no extents": _set(dims=[HUGE, 0]),
        "of negative extents": _set(dims=[-4, -3]),
        "of an open extent": _set(dims=[4, -1]),
        "of many extents": _set(dims=[1] * 1000),
        "too short": _set(raw_data=b"1234"),
        "too long": _set(raw_data=bytes(1000)),
        "given twice": _set(float_data=[1.0] * 12),
        "of no type": _set(data_type=0),
        "of an unknown type": _set(data_type=999),
        "of texts": _set(data_type=TensorProto.STRING),
        "of complex numbers": _set(data_type=TensorProto.COMPLEX64, raw_data=bytes(96)),
        "of half bytes": _set(data_type=TensorProto.INT4, raw_data=bytes(6)),
        "of float8": _set(data_type=TensorProto.FLOAT8E4M3FN, raw_data=bytes(12)),
        "of bfloat16": _set(data_type=TensorProto.BFLOAT16, raw_data=bytes(24)),
    }.items():
        CASES[f"{_place} {_name}"] = _weights(_change, attribute=_where)


def _sparse(extent: int) -> onnx.SparseTensorProto:
    return helper.make_sparse_tensor(
        numpy_helper.from_array(floats(1), "v"), numpy_helper.from_array(ints(0), "i"), [extent]
    )


_save(
    "sparse constant",
    [
        node("Constant", [], "c", sparse_value=_sparse(HUGE)),
        node("ReduceMax", ["c"], "m", keepdims=0),
        node("Add", ["x", "m"]),
    ],
)


@_case
def sparse_weights(path: Path) -> None:
    proto = model([node("Add", ["x", "v"])])
    proto.graph.sparse_initializer.append(_sparse(HUGE))
    path.write_bytes(proto.SerializeToString())


# --- weights in other files ------------------------------------------------------------------------------------------

DATA = floats(4, 3).tobytes()


def _external(attribute: bool = False, **entries: str) -> Writer:
    def change(tensor: onnx.TensorProto) -> None:
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in entries.items():
            tensor.external_data.add(key=key, value=value)

    def write(path: Path) -> None:
        (path.parent / "data").write_bytes(DATA)
        (path.parent / "short").write_bytes(DATA[:7])
        (path.parent / "folder").mkdir(exist_ok=True)
        outside = path.parent.parent / "outside"
        outside.write_bytes(DATA)
        for link, target in (("out", outside), ("zero", "/dev/zero"), ("round", "round"), ("password", "/etc/passwd")):
            if not (path.parent / link).is_symlink():
                (path.parent / link).symlink_to(target)
        if not (path.parent / "pipe").exists():
            os.mkfifo(path.parent / "pipe")
        with (path.parent / "sparse").open("wb") as file:
            file.truncate(1 << 33)
        _weights(change, attribute=attribute)(path)

    return write


for _where in (False, True):
    for _name, _entries in {
        "at an absolute path": {"location": "/etc/passwd"},
        "of a Windows path": {"location": "C:\\data"},
        "above the folder": {"location": "../outside"},
        "above the folder again": {"location": "folder/../../outside"},
        "above the folder for Windows": {"location": "..\\outside"},
        "behind a link": {"location": "out"},
        "behind a link to a password": {"location": "password"},
        "in a device": {"location": "zero"},
        "in a circle of links": {"location": "round"},
        "in a pipe": {"location": "pipe"},
        "in a folder": {"location": "folder"},
        "in the folder": {"location": "."},
        "in a file that is not there": {"location": "missing"},
        "in a file of a long name": {"location": "x" * 100_000},
        "in a name with a zero": {"location": "da\0ta"},
        "nowhere": {},
        "in an empty name": {"location": ""},
        "in a short file": {"location": "short"},
        "beyond the end": {"location": "data", "offset": "1"},
        "far beyond the end": {"location": "data", "offset": str(HUGE)},
        "before the start": {"location": "data", "offset": "-48"},
        "at no number": {"location": "data", "offset": "eight"},
        "at a long number": {"location": "data", "offset": "9" * 10_000},
        "of another length": {"location": "data", "length": "47"},
        "of a huge length": {"location": "data", "length": str(HUGE)},
        "of a negative length": {"location": "data", "length": "-1"},
        "in a file of 8 GiB": {"location": "sparse"},
    }.items():
        CASES[f"{'attribute' if _where else 'weights'} {_name}"] = _external(_where, **_entries)


@_case
def many_tensors_claim_one_file(path: Path) -> None:
    """A thousand tensors of 16 MiB each, all the same bytes."""
    with (path.parent / "large").open("wb") as file:
        file.truncate(1 << 24)
    proto = model([node("Relu", ["x"])])
    for place in range(1000):
        tensor = proto.graph.initializer.add(
            name=f"w{place}", data_type=TensorProto.FLOAT, dims=[1 << 22], data_location=TensorProto.EXTERNAL
        )
        tensor.external_data.add(key="location", value="large")
    path.write_bytes(proto.SerializeToString())


# --- bytes -----------------------------------------------------------------------------------------------------------


def _field(number: int, content: bytes) -> bytes:
    length, size = len(content), b""
    while length > 127:
        size, length = size + bytes([length & 127 | 128]), length >> 7
    return bytes([number << 3 | 2]) + size + bytes([length]) + content


def _raw(name: str, graph: Callable[[], bytes]) -> None:
    CASES[name] = lambda path: path.write_bytes(b"\x08\x08" + _field(7, graph()) + b"\x42\x02\x10\x11") and None  # type: ignore


_raw("empty operators", lambda: b"\x0a\x00" * 2_000_000)
_raw("empty attributes", lambda: _field(1, b"\x2a\x00" * 2_000_000))
_raw("empty tensors", lambda: b"\x2a\x00" * 2_000_000)
_raw("5 million extents", lambda: _field(5, _field(1, b"\x01" * 10_000_000)))
_raw("a length beyond the end", lambda: b"\x0a\xff\xff\xff\xff\x7f")


def _nested(depth: int) -> bytes:
    graph = b""
    for _ in range(depth):
        graph = _field(1, _field(5, _field(6, graph)))
    return graph


_raw("subgraphs 10000 deep", lambda: _nested(3000))


@_case
def text(path: Path) -> None:
    path.write_bytes(b"\x08this is no model at all\n" * 100)


@_case
def nothing(path: Path) -> None:
    path.write_bytes(b"")


@_case
def gzip_bomb(path: Path) -> None:
    path.write_bytes(gzip.compress(bytes(1 << 29), compresslevel=1))


@_case
def long_names(path: Path) -> None:
    name = "n" * 10_000_000
    path.write_bytes(model([node("Nothing", ["x"], name=name, domain=name)]).SerializeToString())


@_case
def value_defined_twice(path: Path) -> None:
    path.write_bytes(
        model([node("Relu", ["x"], "h"), node("Neg", ["x"], "h"), node("Relu", ["h"])]).SerializeToString()
    )


@_case
def weights_defined_twice(path: Path) -> None:
    proto = model([node("MatMul", ["x", "w"])], {"w": floats(4, 3)})
    proto.graph.initializer.append(numpy_helper.from_array(2 * floats(4, 3), "w"))
    path.write_bytes(proto.SerializeToString())


@_case
def two_versions_of_operators(path: Path) -> None:
    proto = model([node("Relu", ["x"])])
    proto.opset_import.append(helper.make_opsetid("ai.onnx", 12))
    path.write_bytes(proto.SerializeToString())


def damaged(seed: int) -> bytes:
    """An honest model in which some bytes are others."""
    generator = np.random.default_rng(seed)
    nodes = [
        node("Conv", ["x", "k"], "h", pads=[1, 1, 1, 1]), node("Relu", ["h"], "r"), node("Reshape", ["r", "s"], "f"),
        node("Gemm", ["f", "w", "b"], "g", transB=1), node("Softmax", ["g"], axis=-1),
    ]  # fmt: skip
    constants = {"k": floats(2, 1, 3, 3), "s": ints(1, -1), "w": floats(3, 32), "b": floats(3)}
    data = bytearray(model(nodes, constants, (1, 1, 4, 4)).SerializeToString())
    for place in generator.integers(len(data), size=generator.integers(1, 4)):
        data[place] = generator.integers(256)
    return bytes(data)
