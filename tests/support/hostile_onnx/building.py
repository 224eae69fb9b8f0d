"""How hostile models are made and registered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Writer = Callable[[Path], None]
Nodes = Sequence[onnx.NodeProto]

HUGE = 1 << 40
CASES: dict[str, Writer] = {}


def case(writer: Writer) -> Writer:
    """Register a writer by its name."""
    CASES[writer.__name__.replace("_", " ")] = writer
    return writer


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


def save(name: str, *arguments: object, **options: object) -> None:
    """Register a model without any trick in how it is stored."""
    CASES[name] = lambda path: path.write_bytes(model(*arguments, **options).SerializeToString())  # type: ignore


def constant(name: str, kind: str, operands: Mapping[str, np.ndarray | None], **attributes: object) -> None:
    """An operator on constants whose result is added to the input."""
    opset = attributes.pop("opset", 17)
    names = [key if value is not None else "" for key, value in operands.items()]
    held = {key: value for key, value in operands.items() if value is not None}
    nodes = [node(kind, names, "c", **attributes), node("ReduceMax", ["c"], "m", keepdims=0), node("Add", ["x", "m"])]
    save(f"constant {name}", nodes, held, opset=opset)


def applied(
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
    save(f"applied {name}", [node(kind, names, **attributes)], held, shape=shape, opset=opset)
