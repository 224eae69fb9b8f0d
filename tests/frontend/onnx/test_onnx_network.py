"""The module made from an ONNX file: shapes, parameters, compilation, and agreement with a runtime."""

from __future__ import annotations

import copy
import gzip
from pathlib import Path

import numpy as np
import pytest
import torch

import autodual
from autodual.errors import InvalidInputError
from autodual.frontend.onnx import OnnxNetwork, load_onnx, load_onnx_bytes

from .models import model, node, weights

CONSTANTS = {"fc.1/weight": weights(4, 6), "fc.1/bias": weights(6), "out::w": weights(6, 3)}
LAYERS = [
    node("Gemm", ["x", "fc.1/weight", "fc.1/bias"], "h"),
    node("Relu", ["h"], "r"),
    node("MatMul", ["r", "out::w"]),
]


def perceptron() -> OnnxNetwork:
    return load_onnx_bytes("perceptron", model(LAYERS, {"x": ["N", 4]}, CONSTANTS).SerializeToString())


def expected(x: np.ndarray) -> np.ndarray:
    hidden = x @ CONSTANTS["fc.1/weight"] + CONSTANTS["fc.1/bias"]
    return np.maximum(hidden, 0) @ CONSTANTS["out::w"]


def test_a_batch_gives_what_the_file_gives_for_each_sample() -> None:
    network = perceptron()
    x = weights(5, 4)
    assert network.input_shapes == ((4,),)
    assert network.output_shape == (3,)
    np.testing.assert_allclose(network(torch.from_numpy(x)).detach().numpy(), expected(x), rtol=1e-5, atol=1e-5)


def test_a_network_reports_its_agreement_with_a_runtime() -> None:
    agreement = perceptron().agreement
    assert agreement is not None
    assert agreement.error < 1e-6 < agreement.tolerance
    assert agreement.samples == 5 and agreement.excused == 0
    assert "onnx" in agreement.runtime


def test_weights_are_trainable_under_legal_names() -> None:
    network = perceptron()
    assert {name for name, _ in network.named_parameters()} == {
        "tensors.fc_1_weight",
        "tensors.fc_1_bias",
        "tensors.out_w",
    }
    network(torch.rand(2, 4)).sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in network.parameters())


def test_the_dual_network_follows_the_weights_without_tracing() -> None:
    network = perceptron().double()
    x, ball = torch.rand(3, 4).double(), autodual.LinfBall(0.1)
    dual = autodual.compile_dual(network)
    for _ in range(2):
        with torch.no_grad():
            lower = dual.lower_bounds(x, ball, torch.eye(3).double())
            seen = network(ball.at(x).sample(500).flatten(0, 1)).reshape(500, 3, 3)
            assert (seen >= lower - 1e-9).all()
            assert (seen.amin(0) - lower).max() < 1.5
            for parameter in network.parameters():
                parameter.mul_(-0.5)


def test_a_copy_is_independent() -> None:
    network = perceptron()
    other = copy.deepcopy(network)
    with torch.no_grad():
        next(other.parameters()).zero_()
    x = torch.ones(1, 4)
    assert not torch.equal(network(x), other(x))


@pytest.mark.parametrize("shape, sample", [((1, 4), (4,)), (("N", 4), (4,)), ((2, 4), (2, 4)), ((None, 4), (4,))])
def test_a_leading_extent_of_one_is_the_batch_axis(shape: tuple, sample: tuple[int, ...]) -> None:
    network = load_onnx_bytes("network", model(LAYERS, {"x": shape}, CONSTANTS).SerializeToString())
    assert network.input_shapes == (sample,)
    assert network(torch.rand(7, *sample)).shape == (7, *sample[:-1], 3)


def test_an_input_with_one_axis_is_a_sample() -> None:
    layers = [node("MatMul", ["x", "w"], "h"), node("Relu", ["h"])]
    network = load_onnx_bytes("network", model(layers, {"x": [1]}, {"w": weights(1, 1)}).SerializeToString())
    assert network.input_shapes == ((1,),) and network.output_shape == (1,)


def test_several_inputs() -> None:
    layers = [node("Concat", ["a", "b"], "x", axis=1), *LAYERS]
    network = load_onnx_bytes("network", model(layers, {"a": [1, 1], "b": [1, 3]}, CONSTANTS).SerializeToString())
    a, b = torch.rand(2, 1), torch.rand(2, 3)
    np.testing.assert_allclose(
        network(a, b).detach().numpy(), expected(torch.cat([a, b], 1).numpy()), rtol=1e-5, atol=1e-5
    )
    with pytest.raises(InvalidInputError, match="takes 2 input"):
        network(a)
    with pytest.raises(InvalidInputError, match="takes 2 inputs, but bounds"):
        autodual.compile_dual(network, a)
    side_by_side = _SideBySide(network)
    x, ball = torch.cat([a, b], 1), autodual.LinfBall(0.1)
    lower = autodual.compile_dual(side_by_side, x).lower_bounds(x, ball, torch.eye(3))
    assert (side_by_side(x) >= lower).all()


class _SideBySide(torch.nn.Module):
    """A network of two inputs as one of a single input."""

    def __init__(self, network: OnnxNetwork):
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.network(x[:, :1], x[:, 1:])


def test_files_may_be_compressed(tmp_path: Path) -> None:
    path = tmp_path / "network.onnx.gz"
    path.write_bytes(gzip.compress(model(LAYERS, {"x": ["N", 4]}, CONSTANTS).SerializeToString()))
    assert load_onnx(path).output_shape == (3,)
    assert autodual.load_onnx is load_onnx


def test_inputs_of_another_shape_are_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"samples of the shape \[4\]"):
        perceptron()(torch.rand(2, 5))
    with pytest.raises(InvalidInputError, match="samples of the shape"):
        autodual.compile_dual(perceptron(), torch.rand(2, 5))


def test_an_output_is_chosen_by_name() -> None:
    proto = model(LAYERS, {"x": ["N", 4]}, CONSTANTS)
    proto.graph.output.append(copy.deepcopy(proto.graph.output[0]))
    proto.graph.output[1].name = "r"
    data = proto.SerializeToString()
    with pytest.raises(InvalidInputError, match="has the outputs 'y', 'r'"):
        load_onnx_bytes("network", data)
    assert load_onnx_bytes("network", data, output="r").output_shape == (6,)
