"""Activation functions that exporters write as products become one op again, which computes the same."""

from __future__ import annotations

import math

import numpy as np
import pytest

from autodual.frontend.onnx import load_onnx_bytes
from autodual.ir.ops import Clamp, Gelu, HardSwish, Mish, Multiply, Silu, Softsign

from .models import assert_agrees, model, node

CONSTANTS = {
    "root": np.array(math.sqrt(2), np.float32),
    "inverse": np.array(0.7, np.float32),
    "one": np.array(1, np.float32),
    "half": np.array(0.5, np.float32),
    "three": np.array(3, np.float32),
    "zero": np.array(0, np.float32),
    "six": np.array(6, np.float32),
}
GELU = [node("Div", ["x", "root"], "a"), node("Erf", ["a"], "b"), node("Add", ["b", "one"], "gate")]
OTHER_GELU = [node("Mul", ["x", "inverse"], "a"), node("Erf", ["a"], "b"), node("Add", ["one", "b"], "gate")]


@pytest.mark.parametrize(
    "layers, op",
    [
        ([node("Sigmoid", ["x"], "gate"), node("Mul", ["x", "gate"])], Silu),
        ([node("Sigmoid", ["x"], "gate"), node("Mul", ["gate", "x"])], Silu),
        ([node("Softplus", ["x"], "a"), node("Tanh", ["a"], "gate"), node("Mul", ["x", "gate"])], Mish),
        ([*GELU, node("Mul", ["x", "gate"], "c"), node("Mul", ["c", "half"])], Gelu),
        ([*GELU, node("Mul", ["x", "half"], "c"), node("Mul", ["c", "gate"])], Gelu),
        ([*OTHER_GELU, node("Mul", ["gate", "x"])], Gelu),
        ([node("Abs", ["x"], "a"), node("Add", ["a", "one"], "b"), node("Div", ["x", "b"])], Softsign),
        ([node("ThresholdedRelu", ["x"], alpha=0.0)], Clamp),
        (
            [
                node("Add", ["x", "three"], "a"),
                node("Clip", ["a", "zero", "six"], "gate"),
                node("Mul", ["x", "gate"], "b"),
                node("Div", ["b", "six"]),
            ],
            HardSwish,
        ),
    ],
)
def test_products_that_are_an_activation_become_one_op(layers: list, op: type) -> None:
    proto = model(layers, {"x": [1, 12]}, CONSTANTS)
    ops = [type(entry.op) for entry in load_onnx_bytes("net", proto.SerializeToString()).graph]
    assert op in ops and Multiply not in ops
    assert_agrees(proto, {"x": [1, 12]})


@pytest.mark.parametrize(
    "layers",
    [
        [node("Sigmoid", ["z"], "gate"), node("Mul", ["x", "gate"])],
        [*GELU, node("Mul", ["z", "gate"])],
        [node("Abs", ["z"], "a"), node("Add", ["a", "one"], "b"), node("Div", ["x", "b"])],
        [node("Add", ["x", "one"], "c"), *GELU, node("Mul", ["c", "gate"])],
        [
            node("Add", ["x", "one"], "a"),
            node("Erf", ["a"], "b"),
            node("Add", ["b", "one"], "g"),
            node("Mul", ["x", "g"]),
        ],
        [node("Softplus", ["z"], "a"), node("Tanh", ["a"], "gate"), node("Mul", ["x", "gate"])],
        [node("Add", ["z", "three"], "a"), node("Clip", ["a", "zero", "six"], "gate"), node("Mul", ["x", "gate"])],
    ],
)
def test_products_that_only_resemble_an_activation_stay_products(layers: list) -> None:
    proto = model(layers, {"x": [1, 12], "z": [1, 12]}, CONSTANTS)
    assert Multiply in [type(entry.op) for entry in load_onnx_bytes("net", proto.SerializeToString()).graph]
    assert_agrees(proto, {"x": [1, 12], "z": [1, 12]})
