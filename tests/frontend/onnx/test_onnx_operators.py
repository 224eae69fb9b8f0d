"""Rare operators, compared with an ONNX runtime; all others of the standard are refused with a reason."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import autodual
from autodual.errors import UnsupportedOpsError
from autodual.frontend.onnx import load_onnx_bytes
from autodual.frontend.onnx.registry import registered
from autodual.ir import ops

from .models import assert_agrees, assert_operator_agrees, model, node, onnx, weights

#: Operators without a data operand or with a random result, which are folded or refused elsewhere, without a rule.
ELSEWHERE = """Constant ConstantOfShape Range If RandomNormal RandomNormalLike RandomUniform RandomUniformLike Bernoulli
Multinomial"""


def test_every_operator_of_the_standard_has_a_rule() -> None:
    standard = {schema.name for schema in onnx.defs.get_all_schemas() if not schema.domain}
    known = {name for domain, name in registered() if not domain}
    assert sorted(standard - known - set(ELSEWHERE.split())) == []


@pytest.mark.parametrize("kind", ["TopK", "Loop", "BitShift", "RoiAlign", "SequenceConstruct", "MatMulInteger"])
def test_operators_without_bounds_give_a_reason(kind: str) -> None:
    proto = model([node(kind, ["x"])], {"x": [1, 4]})
    with pytest.raises(UnsupportedOpsError) as caught:
        load_onnx_bytes("net", proto.SerializeToString())
    (found,) = caught.value.ops
    assert found.target == f"ONNX {kind}" and "no rule lowers it" not in found.hint and len(found.hint) < 120


@pytest.mark.parametrize("shape", [[4], [1, 4], [2, 3, 4]], ids=str)
def test_along_an_axis(shape: list[int]) -> None:
    for axis in (-1, 0):
        assert_operator_agrees("Hardmax", {"x": shape}, axis=axis)
        for options in ({}, {"exclusive": 1}, {"reverse": 1}, {"exclusive": 1, "reverse": 1}):
            assert_operator_agrees("CumProd", {"x": shape}, {"a": np.array(axis)}, opset=26, **options)


def test_norms_over_windows() -> None:
    for order in (1, 2, 3):
        assert_operator_agrees("GlobalLpPool", {"x": [1, 2, 3, 4]}, p=order)
        assert_operator_agrees("LpPool", {"x": [1, 2, 5, 4]}, kernel_shape=[2, 3], p=order)
    assert_operator_agrees("LpPool", {"x": [2, 2, 5]}, kernel_shape=[2], strides=[2], pads=[1, 0])


def test_cut_and_padded_about_the_centre() -> None:
    for target in ([3, 7], [6, 2], [4, 5]):
        assert_operator_agrees("CenterCropPad", {"x": [1, 4, 5]}, {"s": np.array(target)}, opset=18, axes=[1, 2])


def test_gated_swish() -> None:
    layers = [node("SwiGLU", ["x", "z"], alpha=1.5)]
    shape = [1, 4]
    expected = [
        node("Mul", ["x", "a"], "m"),
        node("Sigmoid", ["m"], "s"),
        node("Mul", ["x", "s"], "t"),
        node("Mul", ["t", "z"]),
    ]
    ours, plain = (
        load_onnx_bytes("net", proto.SerializeToString(), check=False)
        for proto in (
            model(layers, {"x": shape, "z": shape}, opset=onnx.defs.onnx_opset_version()),
            model(expected, {"x": shape, "z": shape}, {"a": np.array(1.5, np.float32)}),
        )
    )
    x, z = torch.randn(2, 3, 4)
    torch.testing.assert_close(ours(x, z), plain(x, z))


@pytest.mark.parametrize(
    "options", [{}, {"align_corners": 1}, {"padding_mode": "border"}, {"mode": "nearest"}], ids=str
)
def test_images_sampled_at_fixed_places(options: dict) -> None:
    grid = np.random.default_rng(0).uniform(-1.2, 1.2, (1, 3, 2, 2)).astype(np.float32)
    assert_operator_agrees("GridSample", {"x": [1, 2, 4, 5]}, {"g": grid}, opset=20, **options)


def test_blocks_are_added_up() -> None:
    constants = {"i": np.array([4, 5]), "b": np.array([2, 2])}
    assert_operator_agrees("Col2Im", {"x": [1, 8, 12]}, constants, opset=18)
    assert_operator_agrees("Col2Im", {"x": [2, 4, 6]}, constants, opset=18, strides=[2, 2], pads=[0, 0, 0, 1])


def test_checks_for_nan_are_removed() -> None:
    """Exporters replace the NaN that softmax gives for a row that is masked completely."""
    zero = {"z": np.zeros(1, np.float32)}
    layers = [node("Softmax", ["x"], "s"), node("IsNaN", ["s"], "n"), node("Where", ["n", "z", "s"])]
    assert_agrees(model(layers, {"x": [1, 4]}, zero), {"x": [1, 4]})
    layers[0] = node("Log", ["x"], "s")
    network = load_onnx_bytes("net", model(layers, {"x": [1, 2]}, zero).SerializeToString(), check=False)
    x, ball = torch.tensor([[0.5, 2.0]]), autodual.LinfBall(1.0)
    lower = autodual.compile_dual(network).lower_bounds(x, ball, torch.eye(2))
    assert lower[0, 0].isnan(), "the logarithm has no bound where its operand may be negative"


@pytest.mark.parametrize("low", [-np.inf, np.finfo(np.float32).min])
def test_masks_become_weights(low: float) -> None:
    """Large negative numbers in masks would make bounds NaN, or lose their digits."""
    mask = np.where(np.tril(np.ones((3, 3))) > 0, 0, low).astype(np.float32)
    layers = [node("Add", ["x", "m"], "s"), node("Softmax", ["s"], "p"), node("Flatten", ["p"])]
    proto = model(layers, {"x": [1, 3, 3]}, {"m": mask})
    assert_agrees(proto, {"x": [1, 3, 3]})
    network = load_onnx_bytes("net", proto.SerializeToString())
    dual, x = autodual.compile_dual(network), torch.randn(1, 3, 3)
    (certificate,) = autodual.certify(dual, x, autodual.LinfBall(0.01), torch.tensor([0]))
    assert certificate.status == "certified"
    assert any(isinstance(entry.op, ops.Softmax) and entry.op.weights is not None for entry in dual.plan.graph)


def test_half_precision_inside_a_network() -> None:
    """Bounds allow for the rounding of its casts."""
    layers = [
        node("Cast", ["x"], "a", to=10),
        node("MatMul", ["a", "w"], "b"),
        node("Cast", ["b"], "c", to=1),
        node("Relu", ["c"]),
    ]
    proto = model(layers, {"x": [1, 4]}, {"w": weights(4, 3).astype(np.float16)})
    network = load_onnx_bytes("net", proto.SerializeToString()).double()
    dual, ball = autodual.compile_dual(network), autodual.LinfBall(0.05)
    x = torch.rand(2, 4).double()
    lower = dual.lower_bounds(x, ball, torch.eye(3).double())
    values = network(ball.at(x).sample(500).flatten(0, 1)).reshape(500, 2, 3)
    assert (values >= lower - 1e-12).all()
