"""Attention and rotary embeddings with their options, compared with an ONNX runtime, and refused options."""

from __future__ import annotations

import numpy as np
import pytest

from autodual.errors import UnsupportedOpsError
from autodual.frontend.onnx import load_onnx_bytes

from .models import assert_operator_agrees, model, node, weights

BATCH, HEADS, LENGTH, KEYS, WIDTH = 1, 2, 3, 4, 2
FOUR = {"q": [BATCH, HEADS, LENGTH, WIDTH], "k": [BATCH, HEADS, KEYS, WIDTH], "v": [BATCH, HEADS, KEYS, 3]}


def check(inputs: dict, constants: dict | None = None, **attributes) -> None:
    assert_operator_agrees("Attention", inputs, constants, opset=23, **attributes)


def test_attention_of_heads() -> None:
    check(FOUR)
    check(FOUR, scale=0.3)
    check({**FOUR, "q": [BATCH, 4, LENGTH, WIDTH]})
    check({name: [2, *shape[1:]] for name, shape in FOUR.items()})
    check(FOUR, softcap=0.7)


def test_attention_of_sequences() -> None:
    flat = {"q": [BATCH, LENGTH, 4 * WIDTH], "k": [BATCH, KEYS, HEADS * WIDTH], "v": [BATCH, KEYS, HEADS * 3]}
    check(flat, q_num_heads=4, kv_num_heads=HEADS)


def test_attention_under_masks() -> None:
    square = {name: [BATCH, HEADS, LENGTH, WIDTH] for name in "qkv"}
    check(square, is_causal=1)
    added = weights(LENGTH, KEYS)
    check(FOUR, {"m": added})
    check(FOUR, {"m": np.where(added > 1, -np.inf, added).astype(np.float32)})
    check(FOUR, {"m": np.where(added > 1, -1e9, added).astype(np.float32)})
    check(FOUR, {"m": added < 1})
    check({**FOUR, "m": [BATCH, HEADS, LENGTH, KEYS]})


def test_rotary_embeddings() -> None:
    tables = {"c": np.cos(weights(6, 2)), "s": np.sin(weights(6, 2))}
    whole = {name: table[None, :LENGTH] for name, table in tables.items()}
    places = {**tables, "p": np.array([[3, 0, 5]])}
    for interleaved in (0, 1):
        check_rotary({"x": [1, HEADS, LENGTH, 4]}, whole, interleaved=interleaved)
        check_rotary({"x": [1, HEADS, LENGTH, 4]}, places, interleaved=interleaved)
        check_rotary({"x": [1, LENGTH, HEADS * 4]}, places, interleaved=interleaved, num_heads=HEADS)
        check_rotary({"x": [1, HEADS, LENGTH, 6]}, places, interleaved=interleaved, rotary_embedding_dim=4)


def check_rotary(inputs: dict, constants: dict, **attributes) -> None:
    assert_operator_agrees("RotaryEmbedding", inputs, constants, opset=23, **attributes)


@pytest.mark.parametrize(
    "constants, results, attributes, reason",
    [
        ({"m": np.zeros((LENGTH, KEYS), bool)}, ["y"], {}, "leaves some queries nothing"),
        ({"m": weights(LENGTH, KEYS)}, ["y"], {"softcap": 1.0}, "caps scores and masks"),
        ({}, ["z", "y"], {}, "without a cache"),
    ],
)
def test_refusals(constants: dict, results: list[str], attributes: dict, reason: str) -> None:
    layers = [node("Attention", [*FOUR, *constants], results, **attributes)]
    with pytest.raises(UnsupportedOpsError, match=reason):
        load_onnx_bytes("net", model(layers, FOUR, constants, opset=23).SerializeToString())
