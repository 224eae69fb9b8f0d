"""Every name in the table of functions of one scalar is lowered to its op, which computes the same values."""

from __future__ import annotations

import pytest
import torch
from support.agreement import Applied, assert_same
from torch import Tensor

from autodual.frontend.torch.rules.scalars import operation
from autodual.ir.scalars import CurveOp, Declaration, declarations

torch.set_num_threads(1)

#: Arguments after the first where an operation has no defaults, or where these make it the identity.
ARGUMENTS = {"clamp": (-0.3, 0.8), "clip": (-0.3,), "clamp_min": (0.1,), "clamp_max": (0.1,)}
ATEN = [(entry, name) for entry in declarations() for name in entry.aten]
ONNX = [(entry, name) for entry in declarations() for name in entry.onnx]


def inside(entry: Declaration) -> float | None:
    """A point around which the function is defined, if it is not defined everywhere."""
    op = entry.tried()[0]
    known = op.curve() if isinstance(op, CurveOp) else None
    return known.inside if known is not None and known.domain else None


@pytest.mark.parametrize(("entry", "name"), ATEN, ids=[name for _, name in ATEN])
def test_operations(entry: Declaration, name: str) -> None:
    centre, call = inside(entry), operation(name)

    def function(module: object, x: Tensor) -> Tensor:
        return call(x if centre is None else centre + 0.4 * x.tanh(), *ARGUMENTS.get(name, ()))

    traced = assert_same(Applied(function), (5,))
    assert type(traced.graph.nodes[-1].op) is entry.op


@pytest.mark.parametrize(("entry", "name"), ONNX, ids=[name for _, name in ONNX])
def test_operators(entry: Declaration, name: str) -> None:
    pytest.importorskip("onnx")
    import numpy as np

    from autodual.frontend.onnx import load_onnx_bytes

    from .onnx.models import assert_agrees, model, node

    centre = inside(entry)
    scale, shift = (1.0, 0.0) if centre is None else (0.4, centre)
    constants = {"a": np.float32(scale), "b": np.float32(shift)}
    around = [node("Tanh", ["x"], "t"), node("Mul", ["t", "a"], "m"), node("Add", ["m", "b"], "z")]
    proto = model([*around, node(name, ["z"])], {"x": [1, 5]}, constants, opset=20)
    assert_agrees(proto, {"x": [1, 5]})
    network = load_onnx_bytes("net", proto.SerializeToString(), check=False)
    assert type(network.graph.nodes[-1].op) is entry.op
