"""Elementwise operators of one and two operands, with every way to broadcast, compared with an ONNX runtime."""

from __future__ import annotations

import numpy as np
import pytest

from .models import assert_agrees, assert_operator_agrees, model, node, weights

SHAPES = ([4], [1, 4], [2, 4], [1, 3, 4], [2, 3, 4], [1, 1])
OTHERS = ([], [1], [4], [1, 4], [3, 4], [2, 1, 1], [1, 1, 1, 4], [3, 1])


@pytest.mark.parametrize("kind", ["Add", "Sub", "Mul", "Div", "Max", "Min"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_pairs_broadcast_as_in_onnx(kind: str, shape: list[int]) -> None:
    for other in OTHERS:
        try:
            np.broadcast_shapes(shape, other)
        except ValueError:
            continue
        constant = {"c": weights(*other)}
        assert_operator_agrees(kind, {"x": shape}, constant)
        assert_operator_agrees(kind, {"x": shape}, constant, names=["c", "x"])
        assert_operator_agrees(kind, {"x": shape, "z": other})


@pytest.mark.parametrize("kind", ["Add", "Sub", "Mul", "Max"])
def test_a_value_with_itself(kind: str) -> None:
    assert_operator_agrees(kind, {"x": [1, 4]}, names=["x", "x"])


@pytest.mark.parametrize("kind", ["Sum", "Mean", "Max", "Min"])
def test_many_operands(kind: str) -> None:
    assert_operator_agrees(kind, {"x": [1, 4], "z": [1, 4]}, {"c": weights(4), "d": weights(1)})
    assert_operator_agrees(kind, {"x": [1, 4]})


def test_powers() -> None:
    for exponent in (2.0, 3.0, 1.0, -1.0):
        assert_operator_agrees("Pow", {"x": [1, 4]}, {"c": np.array(exponent, np.float32)})
    assert_operator_agrees("Pow", {"x": [1, 4]}, {"c": np.full((3, 1), 2, np.float32)})
    assert_operator_agrees("Pow", {"x": [1, 4]}, {"c": np.array([0.5, 2, 3, 1], np.float32)}, names=["c", "x"])


FUNCTIONS = """Relu Sigmoid Tanh Atan Erf Softsign Softplus Exp Sin Cos Tan Sinh Cosh Asinh Sign Floor Ceil Round
HardSwish Abs LeakyRelu Elu Selu Celu HardSigmoid ThresholdedRelu Neg Identity Mish Reciprocal Dropout"""


@pytest.mark.parametrize("kind", FUNCTIONS.split())
def test_functions(kind: str) -> None:
    for shape in ([4], [1, 3, 4], [2, 4]):
        assert_operator_agrees(kind, {"x": shape}, opset=18)


@pytest.mark.parametrize(
    "kind, attributes",
    [
        ("LeakyRelu", {"alpha": 0.3}),
        ("Elu", {"alpha": 0.5}),
        ("Selu", {"alpha": 1.5, "gamma": 0.5}),
        ("Celu", {"alpha": 0.5}),
        ("HardSigmoid", {"alpha": 0.5, "beta": 0.25}),
        ("ThresholdedRelu", {"alpha": 0.2}),
        ("Gelu", {}),
        ("Gelu", {"approximate": "tanh"}),
        ("Shrink", {"lambd": 0.25, "bias": 0.25}),
    ],
)
def test_functions_with_attributes(kind: str, attributes: dict) -> None:
    assert_operator_agrees(kind, {"x": [1, 3, 4]}, opset=20, **attributes)


def test_positive_functions() -> None:
    for kind in ("Log", "Sqrt"):
        layers = [node("Exp", ["x"], "e"), node(kind, ["e"])]
        assert_agrees(model(layers, {"x": [1, 4]}), {"x": [1, 4]})


def test_functions_with_a_domain() -> None:
    for kind in ("Asin", "Acos", "Atanh"):
        layers = [node("Tanh", ["x"], "t"), node(kind, ["t"])]
        assert_agrees(model(layers, {"x": [1, 4]}), {"x": [1, 4]})
    layers = [node("Abs", ["x"], "a"), node("Add", ["a", "c"], "b"), node("Acosh", ["b"])]
    assert_agrees(model(layers, {"x": [1, 4]}, {"c": np.array([1.1], np.float32)}), {"x": [1, 4]})


@pytest.mark.parametrize("divisor", [0.7, -0.7])
def test_remainders(divisor: float) -> None:
    assert_operator_agrees("Mod", {"x": [3, 4]}, {"d": np.full((3, 1), divisor, np.float32)}, fmod=1)
    whole = {"d": np.array([3, -3, 2, 7])}
    for fmod in (0, 1):
        layers = [
            node("Mul", ["x", "s"], "w"),
            node("Cast", ["w"], "i", to=7),
            node("Mod", ["i", "d"], "m", fmod=fmod),
            node("Cast", ["m"], to=1),
        ]
        assert_agrees(model(layers, {"x": [5, 4]}, {**whole, "s": np.array([5], np.float32)}), {"x": [5, 4]})


def test_clip_in_every_operator_set() -> None:
    low, high = np.array(-0.5, np.float32), np.array(0.5, np.float32)
    assert_operator_agrees("Clip", {"x": [1, 4]}, opset=7, min=-0.5, max=0.5)
    assert_operator_agrees("Clip", {"x": [1, 4]}, opset=10, min=0.0)
    assert_operator_agrees("Clip", {"x": [1, 4]}, opset=10)
    assert_operator_agrees("Clip", {"x": [1, 4]}, {"low": low, "high": high}, opset=11)
    assert_operator_agrees("Clip", {"x": [1, 4]}, {"low": low}, opset=13)
    assert_operator_agrees("Clip", {"x": [1, 4]}, {"high": high}, names=["x", "", "high"], opset=13)


def test_slopes_of_prelu() -> None:
    for slope in (weights(1), weights(3, 1, 1), weights(1, 3, 1, 1)):
        assert_operator_agrees("PRelu", {"x": [1, 3, 2, 2]}, {"slope": slope})
    assert_operator_agrees("PRelu", {"x": [1, 4], "z": [4]})


@pytest.mark.parametrize("opset", [7, 11, 13, 17])
@pytest.mark.parametrize("shape", [[1, 4], [2, 4], [1, 3, 4], [2, 3, 4]], ids=str)
def test_softmax_flattens_before_operator_set_13(opset: int, shape: list[int]) -> None:
    for kind in ("Softmax", "LogSoftmax"):
        assert_operator_agrees(kind, {"x": shape}, opset=opset)
        for axis in range(0 if opset < 11 else -len(shape), len(shape)):
            assert_operator_agrees(kind, {"x": shape}, opset=opset, axis=axis)


@pytest.mark.parametrize("kind", ["Greater", "Less", "GreaterOrEqual", "LessOrEqual", "Equal"])
def test_comparisons(kind: str) -> None:
    layers = [node("Floor", ["x"], "f"), node(kind, ["f", "z"], "b"), node("Cast", ["b"], to=1)]
    assert_agrees(model(layers, {"x": [1, 4]}, {"z": np.array([0, 1, -1, 0], np.float32)}), {"x": [1, 4]})
    layers = [node(kind, ["x", "z"], "b"), node("Cast", ["b"], to=1)]
    assert_agrees(model(layers, {"x": [1, 4], "z": [3, 4]}), {"x": [1, 4], "z": [3, 4]})


@pytest.mark.parametrize("kind", ["And", "Or", "Xor"])
def test_truth_values(kind: str) -> None:
    layers = [
        node("Greater", ["x", "z"], "b"),
        node("Less", ["x", "c"], "d"),
        node(kind, ["b", "d"], "e"),
        node("Not", ["e"], "f"),
        node("Cast", ["f"], to=1),
    ]
    assert_agrees(model(layers, {"x": [1, 4], "z": [4]}, {"c": weights(4)}), {"x": [1, 4], "z": [4]})


def test_where() -> None:
    fixed = {"c": np.array([True, False, True, False]), "a": weights(4), "b": weights(1)}
    for operands, inputs in (
        (["c", "x", "b"], {"x": [1, 4]}),
        (["c", "a", "x"], {"x": [2, 4]}),
        (["c", "x", "z"], {"x": [1, 4], "z": [3, 1]}),
    ):
        assert_operator_agrees("Where", inputs, fixed, names=operands)
    for first, second in (("x", "z"), ("a", "b"), ("x", "b")):
        layers = [node("Greater", ["x", "z"], "g"), node("Where", ["g", first, second])]
        assert_agrees(model(layers, {"x": [1, 4], "z": [1, 4]}, fixed), {"x": [1, 4], "z": [1, 4]})


def test_whole_numbers_are_rounded_towards_zero() -> None:
    layers = [node("Cast", ["x"], "i", to=7), node("Cast", ["i"], to=1)]
    assert_agrees(model(layers, {"x": [1, 40]}), {"x": [1, 40]})


@pytest.mark.parametrize("narrow", [10, 16])
def test_casts_round_to_the_nearest_number(narrow: int) -> None:
    layers = [node("Cast", ["x"], "h", to=narrow), node("Cast", ["h"], to=1)]
    assert_agrees(model(layers, {"x": [1, 200]}), {"x": [1, 200]})
