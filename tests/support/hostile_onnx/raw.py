"""Bytes that are not a model, or a model that no program would write."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
from onnx import helper, numpy_helper
from support.hostile_onnx.building import CASES, case, floats, ints, model, node


def _field(number: int, content: bytes) -> bytes:
    length, size = len(content), b""
    while length > 127:
        size, length = size + bytes([length & 127 | 128]), length >> 7
    return bytes([number << 3 | 2]) + size + bytes([length]) + content


def _raw(name: str, graph: Callable[[], bytes]) -> None:
    CASES[name] = lambda path: path.write_bytes(b"\x08\x08" + _field(7, graph()) + b"\x42\x02\x10\x11") and None  # type: ignore


_raw("empty operators", lambda: b"\x0a\x00" * 2_000_000)
_raw("empty attributes", lambda: _field(1, b"\x2a\x00" * 2_000_000))
_raw("empty tensors", lambda: b"\x2a\x00" * 2_000_000)
_raw("5 million extents", lambda: _field(5, _field(1, b"\x01" * 10_000_000)))
_raw("a length beyond the end", lambda: b"\x0a\xff\xff\xff\xff\x7f")


def _nested(depth: int) -> bytes:
    graph = b""
    for _ in range(depth):
        graph = _field(1, _field(5, _field(6, graph)))
    return graph


_raw("subgraphs 10000 deep", lambda: _nested(3000))


@case
def text(path: Path) -> None:
    path.write_bytes(b"\x08this is no model at all\n" * 100)


@case
def nothing(path: Path) -> None:
    path.write_bytes(b"")


@case
def gzip_bomb(path: Path) -> None:
    path.write_bytes(gzip.compress(bytes(1 << 29), compresslevel=1))


@case
def long_names(path: Path) -> None:
    name = "n" * 10_000_000
    path.write_bytes(model([node("Nothing", ["x"], name=name, domain=name)]).SerializeToString())


@case
def value_defined_twice(path: Path) -> None:
    path.write_bytes(
        model([node("Relu", ["x"], "h"), node("Neg", ["x"], "h"), node("Relu", ["h"])]).SerializeToString()
    )


@case
def weights_defined_twice(path: Path) -> None:
    proto = model([node("MatMul", ["x", "w"])], {"w": floats(4, 3)})
    proto.graph.initializer.append(numpy_helper.from_array(2 * floats(4, 3), "w"))
    path.write_bytes(proto.SerializeToString())


@case
def two_versions_of_operators(path: Path) -> None:
    proto = model([node("Relu", ["x"])])
    proto.opset_import.append(helper.make_opsetid("ai.onnx", 12))
    path.write_bytes(proto.SerializeToString())


def damaged(seed: int) -> bytes:
    """An honest model with one to three random bytes replaced."""
    generator = np.random.default_rng(seed)
    nodes = [
        node("Conv", ["x", "k"], "h", pads=[1, 1, 1, 1]), node("Relu", ["h"], "r"), node("Reshape", ["r", "s"], "f"),
        node("Gemm", ["f", "w", "b"], "g", transB=1), node("Softmax", ["g"], axis=-1),
    ]  # fmt: skip
    constants = {"k": floats(2, 1, 3, 3), "s": ints(1, -1), "w": floats(3, 32), "b": floats(3)}
    data = bytearray(model(nodes, constants, (1, 1, 4, 4)).SerializeToString())
    for place in generator.integers(len(data), size=generator.integers(1, 4)):
        data[place] = generator.integers(256)
    return bytes(data)
