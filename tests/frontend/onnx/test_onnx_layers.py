"""Products, convolutions, pooling, normalisations, reductions and resampling against an ONNX runtime."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch

import autodual

from .models import assert_operator_agrees, find_runtime, load_onnx_bytes, model, node, weights

# --- products --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [[4], [1, 4], [2, 4], [1, 3, 4], [2, 3, 4]], ids=str)
def test_matrix_products(shape: list[int]) -> None:
    for other in ([4], [4, 3], [1, 4, 3], [2, 4, 3], [2, 1, 4, 3], [1, 1, 4, 3]):
        assert_operator_agrees("MatMul", {"x": shape}, {"w": weights(*other)})
        assert_operator_agrees("MatMul", {"x": other}, {"w": weights(*shape)}, names=["w", "x"])
        assert_operator_agrees("MatMul", {"x": shape, "z": other})


@pytest.mark.parametrize("turned, other_turned", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_gemm(turned: int, other_turned: int) -> None:
    flags: dict[str, Any] = {"transA": turned, "transB": other_turned}
    weight = weights(*([3, 4] if other_turned else [4, 3]))
    for rows, alpha, beta in ((1, 1.0, 1.0), (2, 1.0, 1.0), (1, 0.5, 2.0)):
        shape = [4, rows] if turned else [rows, 4]
        assert_operator_agrees("Gemm", {"x": shape}, {"w": weight}, alpha=alpha, **flags)
        for bias in ([3], [1, 3], [1], [rows, 3], [rows, 1]):
            options = {"alpha": alpha, "beta": beta, "opset": 11, **flags}
            assert_operator_agrees("Gemm", {"x": shape}, {"w": weight, "c": weights(*bias)}, **options)
            factor = {"a": weights(*shape), "c": weights(*bias)}
            assert_operator_agrees("Gemm", {"x": weight.shape}, factor, names=["a", "x", "c"], **options)
        assert_operator_agrees("Gemm", {"x": shape, "z": weight.shape, "c": [rows, 3]}, **flags)


@pytest.mark.parametrize(
    "equation, left, right",
    [
        ("ij,jk->ik", [2, 3], [3, 4]),
        ("bij,bjk->bik", [2, 2, 3], [2, 3, 4]),
        ("...ij,jk->...ik", [2, 2, 3], [3, 4]),
        ("i,i->", [3], [3]),
        ("bhqd,bhkd->bhqk", [1, 2, 3, 4], [1, 2, 5, 4]),
        ("ij,jk", [2, 3], [3, 4]),
    ],
)
def test_einsum(equation: str, left: list[int], right: list[int]) -> None:
    assert_operator_agrees("Einsum", {"x": left}, {"c": weights(*right)}, equation=equation)
    assert_operator_agrees("Einsum", {"x": right}, {"c": weights(*left)}, names=["c", "x"], equation=equation)
    assert_operator_agrees("Einsum", {"x": left, "z": right}, equation=equation)


def test_einsum_of_one_operand() -> None:
    for equation in ("ij->ji", "ij->", "ij->j"):
        assert_operator_agrees("Einsum", {"x": [2, 3]}, equation=equation)
    for equation in ("ii->i", "ii->", "iij->ji"):
        assert_operator_agrees("Einsum", {"x": [3, 3, 2][: equation.index("-")]}, equation=equation)


def test_einsum_of_several_operands() -> None:
    inputs, constants = {"x": [2, 3], "z": [3, 4]}, {"c": weights(4), "d": weights(4, 2)}
    assert_operator_agrees("Einsum", inputs, constants, equation="ij,jk,k,kl->il")
    assert_operator_agrees("Einsum", inputs, constants, names=["c", "x", "d", "z"], equation="k,ij,kl,jk->lj")


# --- convolutions ----------------------------------------------------------------------------------------------------

CONVOLUTIONS: list[dict[str, Any]] = [
    {},
    {"strides": [2, 1], "pads": [1, 1, 1, 1]},
    {"pads": [0, 1, 2, 0]},
    {"dilations": [2, 1], "pads": [2, 1, 2, 1]},
    {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
    {"auto_pad": "SAME_LOWER", "strides": [2, 2]},
    {"auto_pad": "VALID"},
]


@pytest.mark.parametrize("attributes", CONVOLUTIONS, ids=str)
def test_convolutions(attributes: dict) -> None:
    constants = {"w": weights(6, 4, 3, 2), "b": weights(6)}
    for samples in (1, 2):
        assert_operator_agrees("Conv", {"x": [samples, 4, 6, 5]}, constants, **attributes)
    grouped = {"w": weights(6, 2, 3, 2)}
    assert_operator_agrees("Conv", {"x": [1, 4, 6, 5]}, grouped, group=2, **attributes)


@pytest.mark.parametrize("axes", [1, 3])
def test_convolutions_over_other_numbers_of_axes(axes: int) -> None:
    weight = {"w": weights(3, 2, *[2] * axes)}
    assert_operator_agrees("Conv", {"x": [1, 2, *[4] * axes]}, weight, pads=[1, 0] * axes)
    turned = {"w": weights(2, 3, *[2] * axes)}
    assert_operator_agrees("ConvTranspose", {"x": [1, 2, *[4] * axes]}, turned, strides=[2] * axes)


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 0]},
        {"strides": [2, 3], "pads": [0, 1, 1, 0]},
        {"dilations": [2, 1], "strides": [1, 2], "output_padding": [0, 1], "pads": [1, 0, 0, 0]},
        {"strides": [2, 2], "output_shape": [8, 9]},
        {"strides": [2, 2], "output_shape": [8, 9], "auto_pad": "SAME_UPPER"},
        {"auto_pad": "SAME_LOWER"},
    ],
    ids=str,
)
def test_transposed_convolutions(attributes: dict) -> None:
    constants = {"w": weights(4, 3, 3, 3), "b": weights(3)}
    for samples in (1, 2):
        assert_operator_agrees("ConvTranspose", {"x": [samples, 4, 4, 4]}, constants, opset=11, **attributes)
    grouped = {"w": weights(4, 3, 3, 3), "b": weights(6)}
    assert_operator_agrees("ConvTranspose", {"x": [1, 4, 4, 4]}, grouped, opset=11, group=2, **attributes)


# --- pooling ---------------------------------------------------------------------------------------------------------

POOLS: list[dict[str, Any]] = [
    {"kernel_shape": [2, 2]},
    {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [1, 0, 1, 0]},
    {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [0, 1, 1, 0]},
    {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1},
    {"kernel_shape": [2, 2], "strides": [2, 2], "auto_pad": "SAME_UPPER"},
    {"kernel_shape": [2, 3], "strides": [2, 2], "auto_pad": "SAME_LOWER"},
]


@pytest.mark.parametrize("attributes", POOLS, ids=str)
@pytest.mark.parametrize("samples", [1, 2])
def test_pooling(attributes: dict, samples: int) -> None:
    shape = {"x": [samples, 2, 7, 5]}
    assert_operator_agrees("MaxPool", shape, opset=12, **attributes)
    assert_operator_agrees("MaxPool", shape, opset=12, **{**attributes, "auto_pad": "NOTSET", "dilations": [2, 1]})
    for counted in (0, 1):
        assert_operator_agrees("AveragePool", shape, opset=19, count_include_pad=counted, **attributes)


def test_dilated_average_pooling() -> None:
    shape = {"x": [1, 2, 7, 5]}
    assert_operator_agrees("AveragePool", shape, opset=19, kernel_shape=[2, 2], dilations=[2, 1], pads=[1, 0, 1, 0])


@pytest.mark.parametrize("shape", [[1, 3, 4, 5], [2, 3, 4], [1, 3, 4]], ids=str)
def test_global_pooling(shape: list[int]) -> None:
    assert_operator_agrees("GlobalAveragePool", {"x": shape})
    assert_operator_agrees("GlobalMaxPool", {"x": shape})


# --- normalisations --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [[1, 4, 5, 5], [2, 4, 5, 5], [1, 4, 6], [1, 4], [3, 4]], ids=str)
def test_batch_norm(shape: list[int]) -> None:
    constants = {"s": weights(4), "b": weights(4), "m": weights(4, seed=1), "v": np.abs(weights(4)) + 0.1}
    constants["v"] = constants["v"].astype(np.float32)
    for opset in (7, 9, 14, 15):
        assert_operator_agrees("BatchNormalization", {"x": shape}, constants, opset=opset, epsilon=1e-3)


@pytest.mark.parametrize("shape", [[1, 4, 5, 5], [2, 4, 5, 5], [1, 4, 6]], ids=str)
def test_normalisations_by_a_samples_statistics(shape: list[int]) -> None:
    x = {"x": shape}
    assert_operator_agrees("InstanceNormalization", x, {"s": weights(4), "b": weights(4, seed=1)})
    assert_operator_agrees("LayerNormalization", x, {"s": weights(shape[-1]), "b": weights(shape[-1], seed=1)})
    assert_operator_agrees("LayerNormalization", x, {"s": weights(*shape[1:])}, axis=1)
    assert_operator_agrees("GroupNormalization", x, {"s": weights(2), "b": weights(2)}, opset=18, num_groups=2)
    assert_operator_agrees("GroupNormalization", x, {"s": weights(4), "b": weights(4)}, opset=21, num_groups=2)
    if len(shape) == 4:
        assert_operator_agrees("LRN", x, size=3, alpha=0.5, bias=2.0)
    assert_operator_agrees("LpNormalization", x, axis=1, p=2)
    assert_operator_agrees("LpNormalization", x, axis=-1, p=1)


@pytest.mark.parametrize("order", [1, 2])
def test_a_normalised_zero_vector_is_zero_and_nothing_is_certified_around_it(order: int) -> None:
    proto = model([node("LpNormalization", ["x"], axis=1, p=order)], {"x": ["N", 3]})
    network = load_onnx_bytes("model", proto.SerializeToString())
    x = torch.tensor([[0.0, 0.0, 0.0], [1.0, -2.0, 3.0]])
    np.testing.assert_allclose(network(x), find_runtime(proto, ["y"])[1]({"x": x.numpy()})[0], rtol=1e-6)
    dual, objective = autodual.compile_dual(network, x), torch.eye(3)
    assert (dual.lower_bounds(x, autodual.LinfBall(0.0), objective)[0] == 0).all()
    at_zero, elsewhere = autodual.certify(dual, x, autodual.LinfBall(0.01), labels=[0, 2])
    assert not at_zero.certified and elsewhere.certified
    for radius in (0.1, 0.5):
        points = x[1] + radius * (2 * torch.rand(500, 3) - 1)
        lower = dual.lower_bounds(x[1:], autodual.LinfBall(radius), objective)
        assert (network(points) >= lower - 1e-6).all() and (lower >= -1 - 1e-6).all()


def test_standardising_whole_images() -> None:
    assert_operator_agrees("MeanVarianceNormalization", {"x": [2, 3, 4, 4]})


# --- reductions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind",
    [f"Reduce{kind}" for kind in ("Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "SumSquare", "LogSumExp")],
)
@pytest.mark.parametrize("shape", [[4], [1, 4], [1, 2, 3], [2, 2, 3]], ids=str)
def test_reductions(kind: str, shape: list[int]) -> None:
    operand_since = 13 if kind == "ReduceSum" else 18
    rank = len(shape)
    for keepdims in (0, 1):
        options = {"keepdims": keepdims}
        for count in range(1, rank + 1):
            for axes in itertools.combinations(range(rank), count):
                assert_operator_agrees(kind, {"x": shape}, opset=11, axes=axes, **options)
                given = {"a": np.array(axes, dtype=np.int64) - rank}
                assert_operator_agrees(kind, {"x": shape}, given, opset=operand_since, **options)
        assert_operator_agrees(kind, {"x": shape}, opset=operand_since, **options)
        assert_operator_agrees(kind, {"x": shape}, opset=operand_since, noop_with_empty_axes=1, **options)


# --- resampling ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["nearest", "linear"])
@pytest.mark.parametrize("scales", [[1, 1, 2, 2], [1, 1, 2, 3], [1, 1, 1.5, 2]], ids=str)
def test_upsampling_in_old_operator_sets(mode: str, scales: list[float]) -> None:
    constant = {"s": np.array(scales, dtype=np.float32)}
    assert_operator_agrees("Upsample", {"x": [1, 2, 4, 4]}, opset=7, mode=mode, scales=constant["s"].tolist())
    assert_operator_agrees("Upsample", {"x": [1, 2, 4, 4]}, constant, opset=9, mode=mode)
    assert_operator_agrees("Resize", {"x": [1, 2, 4, 4]}, constant, opset=10, mode=mode)


@pytest.mark.parametrize("coordinates", ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"])
@pytest.mark.parametrize("size", [[8, 8], [7, 5], [2, 3], [1, 1]], ids=str)
def test_resizing(coordinates: str, size: list[int]) -> None:
    sizes = {"s": np.array([1, 2, *size], dtype=np.int64)}
    scales = {
        "s": np.array([1, 1, size[0] / 4, size[1] / 4], dtype=np.float32),
        "roi": np.zeros(0, np.float32),
    }
    options = {"coordinate_transformation_mode": coordinates}
    for mode, rounding in (
        ("linear", "floor"),
        ("cubic", "floor"),
        *(("nearest", how) for how in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")),
    ):
        how = {"mode": mode, "nearest_mode": rounding, **options}
        assert_operator_agrees("Resize", {"x": [1, 2, 4, 4]}, sizes, names=["x", "", "", "s"], opset=13, **how)
        assert_operator_agrees("Resize", {"x": [1, 2, 4, 4]}, scales, names=["x", "roi", "s"], opset=11, **how)
