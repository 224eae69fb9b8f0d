"""Recurrent operators with all their options, compared with an ONNX runtime, and their bounds with samples."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

import autodual
from autodual.errors import UnsupportedOpsError
from autodual.frontend.onnx import load_onnx_bytes

from .models import assert_agrees, model, node, weights

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
LENGTH, FEATURES, SIZE = 3, 2, 2


def tensors(kind: str, directions: int, batch: int = 1) -> dict[str, np.ndarray]:
    gates = GATES[kind]
    made = {
        "w": weights(directions, gates * SIZE, FEATURES),
        "r": weights(directions, gates * SIZE, SIZE, seed=1),
        "b": weights(directions, 2 * gates * SIZE, seed=2),
        "h": weights(directions, batch, SIZE, seed=3),
        "c": weights(directions, batch, SIZE, seed=4),
        "p": weights(directions, 3 * SIZE, seed=5),
    }
    return made


def check(kind: str, names: str, result: int = 0, batch: int = 1, extra: dict | None = None, **attributes) -> None:
    """One operator whose operands are named by letters ('-' leaves one out); one of its results."""
    directions = 2 if attributes.get("direction") == "bidirectional" else 1
    made = {**tensors(kind, directions, batch), **(extra or {})}
    shape = [LENGTH, batch, FEATURES]
    operands = ["" if name == "-" else name for name in names]
    outputs = ["", "", ""][: 3 if kind == "LSTM" else 2]
    outputs[result] = "y"
    layers = [node(kind, operands, outputs, hidden_size=SIZE, **attributes)]
    used = {name: value for name, value in made.items() if name in operands}
    assert_agrees(model(layers, {"x": shape}, used, opset=14), {"x": shape}, samples=2)


@pytest.mark.parametrize("kind, direction", list(product(GATES, ["forward", "reverse", "bidirectional"])))
def test_directions_states_and_results(kind: str, direction: str) -> None:
    states = "hc" if kind == "LSTM" else "h"
    check(kind, "xwr", direction=direction)
    check(kind, "xwrb-" + states, direction=direction, batch=2)
    for result in range(1 + len(states)):
        check(kind, "xwrb", result, direction=direction)


@pytest.mark.parametrize("kind", GATES)
def test_options(kind: str) -> None:
    states = "hc" if kind == "LSTM" else "h"
    check(kind, "xwrb-" + states, clip=0.4)
    check(kind, "xwrbs", extra={"s": np.array([2], np.int32)}, direction="bidirectional")
    check(kind, "xwrbs", 1, extra={"s": np.array([2], np.int32)}, direction="reverse")


def test_options_of_one_kind() -> None:
    for names in ("xwrb", "xwrb-h", "xwr-"):
        check("GRU", names, linear_before_reset=1, direction="bidirectional")
    check("LSTM", "xwrb-hc", input_forget=1)
    check("LSTM", "xwrb-hcp", direction="bidirectional")
    check("LSTM", "xwrb---p")


@pytest.mark.parametrize(
    "names, numbers",
    [
        (["Relu"], {}),
        (["Affine"], {"activation_alpha": [0.5], "activation_beta": [0.1]}),
        (["LeakyRelu"], {"activation_alpha": [0.2]}),
        (["ThresholdedRelu"], {"activation_alpha": [0.3]}),
        (["ScaledTanh"], {"activation_alpha": [0.7], "activation_beta": [0.6]}),
        (["HardSigmoid"], {"activation_alpha": [0.3], "activation_beta": [0.4]}),
        (["Elu"], {"activation_alpha": [0.8]}),
        (["Softsign"], {}),
        (["Softplus"], {}),
    ],
)
def test_activations(names: list[str], numbers: dict) -> None:
    check("RNN", "xwrb-h", activations=names, **numbers)
    check("GRU", "xwrb-h", activations=["Sigmoid", *names], **numbers)


def test_batch_first() -> None:
    """onnxruntime refuses this layout for these operators, so the oracle is the same network with its axes moved."""
    for kind in GATES:
        made = tensors(kind, 1, 2)
        plain = model(
            [node(kind, ["x", "w", "r", "b"], hidden_size=SIZE)], {"x": [LENGTH, 2, FEATURES]}, made, opset=14
        )
        moved = [node(kind, ["x", "w", "r", "b"], ["y", "z"], hidden_size=SIZE, layout=1)]
        swapped = model(moved, {"x": [2, LENGTH, FEATURES]}, made, opset=14)
        networks = [load_onnx_bytes("net", proto.SerializeToString(), check=False) for proto in (plain, swapped)]
        x = torch.randn(1, LENGTH, 2, FEATURES)
        expected, found = networks[0](x), networks[1](x.transpose(1, 2))
        torch.testing.assert_close(found, expected.permute(0, 3, 1, 2, 4).reshape(found.shape))


@pytest.mark.parametrize("kind", GATES)
def test_bounds_enclose(kind: str) -> None:
    layers = [node(kind, ["x", "w", "r", "b"], ["", "y"], hidden_size=SIZE)]
    proto = model(layers, {"x": [LENGTH, 1, FEATURES]}, tensors(kind, 1), opset=14)
    network = load_onnx_bytes("net", proto.SerializeToString(), check=False).double()
    dual = autodual.compile_dual(network)
    x, ball = torch.rand(2, *network.input_shapes[0]).double(), autodual.LinfBall(0.1)
    lower = dual.lower_bounds(x, ball, torch.cat([torch.eye(SIZE), -torch.eye(SIZE)]).double())
    values = network(ball.at(x).sample(300).flatten(0, 1)).reshape(300, 2, SIZE)
    gaps = torch.cat([values, -values], -1) - lower
    assert gaps.min() >= -1e-9 and gaps.amin(0).max() < 0.5


@pytest.mark.parametrize(
    "kind, names, extra, reason",
    [
        ("LSTM", "xxr", {}, "its weights must not depend on the network's input"),
        ("RNN", "xwr-s", {"s": np.array([1, 2], np.int32)}, "differ in length"),
        ("GRU", "xrr", {"r": weights(1, 6, 3)}, "do not fit"),
    ],
)
def test_refusals(kind: str, names: str, extra: dict, reason: str) -> None:
    made = {**tensors(kind, 1), **extra}
    layers = [node(kind, ["" if name == "-" else name for name in names], hidden_size=SIZE)]
    with pytest.raises(UnsupportedOpsError, match=reason):
        load_onnx_bytes("net", model(layers, {"x": [LENGTH, 1, FEATURES]}, made, opset=14).SerializeToString())
