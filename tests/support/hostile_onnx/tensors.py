"""Tensors that contradict themselves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
from onnx import TensorProto, helper, numpy_helper
from support.hostile_onnx.building import CASES, HUGE, Writer, case, floats, ints, model, node, save


def weights(change: Callable[[onnx.TensorProto], None], *, attribute: bool = False) -> Writer:
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
        CASES[f"{_place} {_name}"] = weights(_change, attribute=_where)


def _sparse(extent: int) -> onnx.SparseTensorProto:
    return helper.make_sparse_tensor(
        numpy_helper.from_array(floats(1), "v"), numpy_helper.from_array(ints(0), "i"), [extent]
    )


save(
    "sparse constant",
    [
        node("Constant", [], "c", sparse_value=_sparse(HUGE)),
        node("ReduceMax", ["c"], "m", keepdims=0),
        node("Add", ["x", "m"]),
    ],
)


@case
def sparseweights(path: Path) -> None:
    proto = model([node("Add", ["x", "v"])])
    proto.graph.sparse_initializer.append(_sparse(HUGE))
    path.write_bytes(proto.SerializeToString())
