"""Strides, dilations and pads of ONNX operators that exceed 32 bits, or are not positive."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import autodual
from autodual.frontend.onnx import load_onnx_bytes
from tests.frontend.onnx.models import model, node

ONE = np.full((1, 1, 1, 1), 2.0, np.float32)


def _network(kind: str, **attributes: object):
    operands, constants = (["x", "w"], {"w": ONE}) if "Conv" in kind else (["x"], {})
    if "Conv" not in kind:
        attributes = {"kernel_shape": [3, 3], **attributes}
    nodes = [node(kind, operands, "pooled", **attributes), node("Flatten", ["pooled"])]
    proto = model(nodes, {"x": [1, 1, 4, 4]}, constants, opset=19)
    return load_onnx_bytes("model", proto.SerializeToString(), check=False)


@pytest.mark.parametrize("step", [2**62, 2**32, 2**32 + 1, 2**31])
@pytest.mark.parametrize("kind", ["AveragePool", "LpPool", "Conv", "ConvTranspose"])
def test_a_stride_beyond_32_bits_is_refused_with_its_reason(kind: str, step: int) -> None:
    with pytest.raises(autodual.AutodualError, match=r"32 bits|makes more than"):
        _network(kind, strides=[step, step])


@pytest.mark.parametrize("kind", ["AveragePool", "LpPool", "Conv"])
def test_a_dilation_beyond_32_bits_is_refused_with_its_reason(kind: str) -> None:
    with pytest.raises(autodual.AutodualError, match="32 bits"):
        _network(kind, kernel_shape=[1, 1], dilations=[2**62, 2**62])


def test_padding_beyond_32_bits_is_refused_with_its_reason() -> None:
    with pytest.raises(autodual.AutodualError, match="32 bits"):
        _network("Conv", pads=[2**31] * 4, strides=[2**30] * 2)


@pytest.mark.parametrize("step", [2**62, 2**32 + 1])
def test_the_maximum_of_a_single_window_needs_no_stride(step: int) -> None:
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert _network("MaxPool", strides=[step, step])(x).item() == 10.0


@pytest.mark.parametrize("kind", ["MaxPool", "AveragePool", "LpPool", "Conv", "ConvTranspose"])
@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"strides": [0, 1]}, "strides must be at least 1, not 0"),
        ({"strides": [1, -1]}, "strides must be at least 1, not -1"),
        ({"dilations": [0, 0]}, "dilations must be at least 1, not 0"),
        ({"strides": [1]}, "1 strides for 2 spatial axes"),
        ({"dilations": [1, 1, 1]}, "3 dilations for 2 spatial axes"),
    ],
)
def test_invalid_strides_and_dilations_are_refused_with_their_reason(kind: str, attributes: dict, reason: str) -> None:
    with pytest.raises(autodual.AutodualError, match=reason):
        _network(kind, **attributes)


@pytest.mark.parametrize("kind", ["MaxPool", "AveragePool", "LpPool"])
def test_pools_do_not_crop(kind: str) -> None:
    with pytest.raises(autodual.AutodualError, match="pads must not be negative"):
        _network(kind, pads=[-1, 0, 0, 0])
