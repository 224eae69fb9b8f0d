"""Indices that depend on the network's input, compared with an ONNX runtime, and their bounds."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import autodual
from autodual.frontend.onnx import load_onnx_bytes

from .models import assert_agrees, model, node, weights


def positions(extent: int) -> list:
    """Operators and constants for indices `i` from 0 to extent - 1 that depend on `x`."""
    return [
        node("Mul", ["x", "three"], "scaled"),
        node("Clip", ["scaled", "zero", "top"], "clipped"),
        node("Cast", ["clipped"], "i", to=7),
    ], {
        "three": np.array(3, np.float32),
        "zero": np.array(0, np.float32),
        "top": np.array(extent - 1, np.float32),
    }


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("shape", [[2], [1, 3]], ids=str)
def test_gather(axis: int, shape: list[int]) -> None:
    layers, constants = positions(3)
    for data in ("c", "z"):
        proto = model(
            [*layers, node("Gather", [data, "i"], axis=axis)],
            {"x": shape, "z": [3, 3]},
            {**constants, "c": weights(3, 3)},
        )
        assert_agrees(proto, {"x": shape, "z": [3, 3]}, samples=5)


def test_negative_positions_count_from_the_end() -> None:
    layers, constants = positions(3)
    layers = [*layers, node("Sub", ["i", "four"], "j"), node("Gather", ["c", "j"])]
    constants = {**constants, "four": np.array(3), "c": weights(3, 2)}
    assert_agrees(model(layers, {"x": [1, 3]}, constants), {"x": [1, 3]}, samples=5)


@pytest.mark.parametrize("axis", [0, 1])
def test_gather_elements(axis: int) -> None:
    layers, constants = positions(2)
    for data in ("c", "z"):
        proto = model(
            [*layers, node("GatherElements", [data, "i"], axis=axis)],
            {"x": [2, 3], "z": [2, 3]},
            {**constants, "c": weights(2, 3)},
        )
        assert_agrees(proto, {"x": [2, 3], "z": [2, 3]}, samples=5)


@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_one_hot(axis: int) -> None:
    layers, constants = positions(4)
    constants |= {"depth": np.array(4), "values": np.array([-1, 2], np.float32)}
    layers = [*layers, node("OneHot", ["i", "depth", "values"], axis=axis)]
    assert_agrees(model(layers, {"x": [1, 3]}, constants), {"x": [1, 3]}, samples=5)


@pytest.mark.parametrize("kind", ["ArgMax", "ArgMin"])
@pytest.mark.parametrize("last", [0, 1])
def test_argmax_and_argmin(kind: str, last: int) -> None:
    for shape, axis in (([1, 5], 1), ([3, 2], 0), ([1, 3, 4], -1), ([1, 3, 4], 1)):
        for keepdims in (0, 1):
            layers = [
                node("Round", ["x"], "ties"),
                node(kind, ["ties"], "a", axis=axis, keepdims=keepdims, select_last_index=last),
                node("Cast", ["a"], to=1),
            ]
            assert_agrees(model(layers, {"x": shape}), {"x": shape}, samples=6)


@pytest.mark.parametrize("rows", [1, 3])
def test_scatter(rows: int) -> None:
    """Rows of indices may coincide; the last one wins."""
    layers, constants = positions(3)
    constants |= {"c": weights(3, 3), "u": weights(rows)}
    for data, fresh in (("c", "v"), ("z", "u"), ("z", "v")):
        proto = model(
            [*layers, node("ScatterND", [data, "i", fresh])],
            {"x": [rows, 2], "z": [3, 3], "v": [rows]},
            constants,
        )
        assert_agrees(proto, {"x": [rows, 2], "z": [3, 3], "v": [rows]}, samples=5)
    layers = [*layers, node("ScatterND", ["z", "i", "w"])]
    proto = model(layers, {"x": [rows, 1], "z": [3, 2], "w": [rows, 2]}, constants)
    assert_agrees(proto, {"x": [rows, 1], "z": [3, 2], "w": [rows, 2]}, samples=5)


def test_the_decided_class_has_exact_bounds() -> None:
    """Where no other entry can become the largest, the bounds of the argmax coincide; elsewhere they hold."""
    layers = [node("ArgMax", ["x"], "a", axis=1), node("Cast", ["a"], to=1)]
    network = load_onnx_bytes("net", model(layers, {"x": [1, 4]}).SerializeToString()).double()
    x = torch.tensor([[0.1, 0.9, 0.3, 0.2], [0.5, 0.1, 0.2, 0.55]]).double()
    ball = autodual.LinfBall(0.1)
    dual = autodual.compile_dual(network, x)
    lower = dual.lower_bounds(x, ball, torch.tensor([[1.0], [-1.0]]).double())
    torch.testing.assert_close(lower[0], torch.tensor([1.0, -1.0]).double())
    seen = network(ball.at(x).sample(200).flatten(0, 1)).reshape(200, 2)
    assert (seen[:, 1] >= lower[1, 0] - 1e-9).all() and (-seen[:, 1] >= lower[1, 1] - 1e-9).all()
    assert seen[:, 1].unique().tolist() == [0.0, 3.0]
