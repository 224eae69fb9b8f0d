"""Tied operands in the graphs that exporters write: one function has one bound, whichever operators it is made of."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import autodual
from autodual.frontend.onnx import load_onnx_bytes

from .models import model, node, weights

CONSTANTS = {
    "W": weights(6, 12) / 2,
    "axis": np.array([-1], np.int64),
    "tiny": np.float32(1e-6),
    "tiny squared": np.float32(1e-12),
    "inside": np.full((1, 1), 1e-3, np.float32),
    "one": np.float32(1),
    "two": np.float32(2),
    "half": np.float32(0.5),
    "root": np.float32(0.5**0.5),
    "count": np.float32(12),
    "heads": np.array([1, 3, 4], np.int64),
    "all": np.array([1, 12], np.int64),
}

_CENTRED = "ReduceMean h axis > mean; Sub h mean > c; "
_HEADS = "Reshape h heads > q; Mul q two > v; "
_MEAN = "; MatMul p v > o; Reshape o all > y"

#: Operators with their operands and, after an arrow, their result; h is the operand, y the result.
WRITTEN: dict[str, tuple[str, ...]] = {
    "normalize": (
        "ReduceL2 h axis > n; Clip n tiny > d; Shape h > s; Expand d s > e; Div h e > y",
        "Mul h h > q; ReduceSum q axis > s; Max s tiny_squared > m; Sqrt m > d; Reciprocal d > i; Mul h i > y",
        "Abs h > a; Pow a two > q; ReduceSum q axis > s; Pow s half > n; Clip n tiny > d; Div h d > y",
        "ReduceSumSquare h axis > s; Sqrt s > n; Max n tiny > d; Div one d > i; Mul i h > y",
    ),
    "sum of sizes": (
        "ReduceL1 h axis > n; Clip n tiny > d; Div h d > y",
        "Abs h > a; ReduceSum a axis > n; Clip n tiny > d; Div h d > y",
    ),
    "layer norm": (
        _CENTRED + "Pow c two > q; ReduceMean q axis > s; Add s inside > w; Sqrt w > d; Div c d > y",
        _CENTRED + "Mul c c > q; ReduceMean q axis > s; Add inside s > w; Sqrt w > r; Div one r > i; Mul c i > y",
        _CENTRED + "ReduceMean h axis > again; Sub h again > b; Mul b b > q; ReduceSum q axis > t; "
        "Div t count > s; Add s inside > w; Sqrt w > d; Div c d > y",
        _CENTRED + "Mul c c > q; ReduceMean q axis > s; Add s inside > w; Sqrt w > d; Reciprocal d > i; "
        "Mul h i > a; Mul mean i > b; Sub a b > y",
    ),
    "softmax": (
        "Softmax h > y",
        "LogSoftmax h > l; Exp l > y",
        "ReduceMax h axis > m; Sub h m > c; Exp c > e; ReduceSum e axis > s; Div e s > y",
        "Exp h > e; Exp h > f; ReduceSum f axis > s; Reciprocal s > i; Mul i e > y",
        "ReduceLogSumExp h axis > l; Sub h l > c; Exp c > y",
    ),
    "attention": (
        _HEADS + "Transpose q > k; MatMul q k > s; Mul s half > t; Softmax t > p" + _MEAN,
        _HEADS + "Transpose q > k; MatMul q k > s; Mul s half > t; Exp t > e; ReduceSum e axis > n; "
        "MatMul e v > m; Div m n > o; Reshape o all > y",
        _HEADS + "Mul q root > r; Transpose r > k; MatMul r k > s; Softmax s > p" + _MEAN,
        _HEADS + "Einsum q q > s; Div s two > t; Softmax t > p; EinsumOfValues p v > o; Reshape o all > y",
    ),
}

_SPECIAL = {
    "Transpose": ("Transpose", {"perm": [0, 2, 1]}),
    "Einsum": ("Einsum", {"equation": "bid,bjd->bij"}),
    "EinsumOfValues": ("Einsum", {"equation": "bij,bjd->bid"}),
}


def _network(written: str) -> nn.Module:
    nodes = [node("MatMul", ["x", "W"], "h")]
    for line in written.split("; "):
        left, result = line.split(" > ")
        kind, *operands = (word.replace("_", " ") for word in left.split())
        kind, attributes = _SPECIAL.get(kind, (kind, {}))
        nodes.append(node(kind, operands, result, **attributes))
    used = {name for one in nodes for name in one.input}
    constants = {name: value for name, value in CONSTANTS.items() if name in used}
    proto = model(nodes, {"x": (1, 6)}, constants, opset=18)
    return load_onnx_bytes("model", proto.SerializeToString(), check=False)


@pytest.mark.parametrize("name", WRITTEN)
def test_a_function_has_one_sound_bound_however_it_is_exported(name: str) -> None:
    torch.manual_seed(0)
    x, rows, ball = torch.randn(2, 6), torch.randn(4, 12), autodual.LinfBall(0.3)
    points = ball.at(x).sample(200, torch.Generator().manual_seed(1))
    found: list[Tensor] = []
    for written in WRITTEN[name]:
        network = _network(written)
        dual = autodual.compile_dual(network, x)
        assert {node.op.kind for node in dual.plan.graph} & {"divided_by_norm", "normalized_exp"}
        found.append(dual.lower_bounds(x, ball, rows, rigorous=True))
        values = network(points.flatten(0, 1)).reshape(200, 2, 12) @ rows.T
        assert bool((values.amin(0) >= found[-1]).all())
    for one, other in pairwise(found):
        torch.testing.assert_close(one, other, atol=2e-4, rtol=2e-4)
