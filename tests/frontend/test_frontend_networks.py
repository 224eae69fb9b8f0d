"""Whole networks: residual, dense and branching architectures, shared modules, and the text of their graphs."""

from __future__ import annotations

import time

import torch
from torch import Tensor, nn

from autodual.frontend import TracedNetwork, trace
from autodual.ir import Environment, format_graph

torch.set_num_threads(1)


def assert_same(model: nn.Module, shape: tuple[int, ...]) -> TracedNetwork:
    traced = trace(model, torch.randn(1, *shape))
    model = model.double().eval()
    x = torch.randn(4, *shape, dtype=torch.float64)
    values = traced.graph.evaluate([x], Environment(traced.lookup(model), x.dtype, x.device))
    torch.testing.assert_close(values[traced.graph.outputs[0]], model(x))
    return traced


class ResidualBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(2, 4, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(4)
        self.conv2, self.bn2 = nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.shortcut = nn.Conv2d(2, 4, 1, stride=2)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x)
        return self.relu(out)


def test_residual_network() -> None:
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    traced = assert_same(nn.Sequential(ResidualBlock(), head), (2, 6, 6))
    sources = {node.name: node.source for node in traced.graph}
    assert sources["conv2d_1"].module == "0.conv2"
    assert sources["conv2d_1"].target == "aten.conv2d.default"
    assert sources["conv2d_1"].line.endswith(": out = self.bn2(self.conv2(out))")
    assert sources["linear"].module == "1.2"


def test_text_of_a_residual_block() -> None:
    block = ResidualBlock()
    block.bn1, block.bn2 = nn.Identity(), nn.Identity()
    assert format_graph(trace(block, torch.randn(1, 2, 6, 6)).graph) == (
        "x: [2×6×6] = input()\n"
        "conv2d: [4×3×3] = convolution(x) "
        "{weight=conv1.weight, bias=None, stride=(2, 2), padding=(1, 1), dilation=(1, 1)}\n"
        "relu: [4×3×3] = relu(conv2d)\n"
        "conv2d_1: [4×3×3] = convolution(relu) "
        "{weight=conv2.weight, bias=None, stride=(1, 1), padding=(1, 1), dilation=(1, 1)}\n"
        "conv2d_2: [4×3×3] = convolution(x) "
        "{weight=shortcut.weight, bias=shortcut.bias, stride=(2, 2), padding=(0, 0), dilation=(1, 1)}\n"
        "add: [4×3×3] = add(conv2d_1, conv2d_2)\n"
        "relu_1: [4×3×3] = relu(add)\n"
        "return relu_1"
    )


def test_text_of_batch_norm_and_same_padding() -> None:
    class Normalised(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv1d(1, 2, 4, padding="same", bias=False), nn.BatchNorm1d(2)

        def forward(self, x: Tensor) -> Tensor:
            return self.norm(self.conv(x)).flatten(1)

    scale = "mul(norm.weight, rsqrt(add(norm.running_var, 1e-05)))"
    assert format_graph(trace(Normalised(), torch.randn(1, 1, 5)).graph) == (
        "x: [1×5] = input()\n"
        "conv1d: [1×6] = pad(x) {pads=(0, 1)}\n"
        "conv1d_1: [2×5] = convolution(conv1d) "
        "{weight=conv.weight, bias=None, stride=(1,), padding=(1,), dilation=(1,)}\n"
        "batch_norm: [2×5] = elementwise_affine(conv1d_1) "
        f"{{factor=reshape({scale}, [-1, 1]), "
        f"offset=reshape(sub(norm.bias, mul(norm.running_mean, {scale})), [-1, 1])}}\n"
        "flatten: [10] = reshape(batch_norm) {shape=(10,)}\n"
        "return flatten"
    )


class DenseBlock(nn.Module):
    def __init__(self, growth: int = 2, layers: int = 3) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(c), nn.ReLU(), nn.Conv2d(c, growth, 3, padding=1))
            for c in range(2, 2 + growth * layers, growth)
        )

    def forward(self, x: Tensor) -> Tensor:
        features = [x]
        for layer in self.layers:
            features.append(layer(torch.cat(features, 1)))
        return torch.cat(features, 1).mean((2, 3))


def test_dense_block() -> None:
    traced = assert_same(DenseBlock(), (2, 4, 4))
    assert [len(node.inputs) for node in traced.graph if node.op.kind == "concatenate"] == [2, 3, 4]


class Inception(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.three = nn.Conv2d(2, 2, 1), nn.Conv2d(2, 3, 3, padding=1)
        self.pooled = nn.Sequential(nn.AvgPool2d(3, 1, 1), nn.Conv2d(2, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        merged = torch.cat([self.one(x).relu(), self.three(x).relu(), self.pooled(x)], 1)
        first, second = merged.chunk(2, dim=1)
        return (first - second).flatten(1)


def test_branches_side_by_side() -> None:
    assert_same(Inception(), (2, 4, 4))


def test_one_layer_used_twice_reads_one_parameter() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)
            self.alias = self.layer

        def forward(self, x: Tensor) -> Tensor:
            return self.alias(self.layer(x).relu()) + x

    traced = assert_same(Shared(), (4,))
    assert len(traced.names) == 2
    assert [node.name for node in traced.graph] == ["x", "linear", "relu", "linear_1", "add"]


def test_arguments_without_names() -> None:
    class Summing(nn.Module):
        def forward(self, *inputs: Tensor) -> Tensor:
            return inputs[0] + inputs[1]

    traced = trace(Summing(), (torch.randn(1, 2), torch.randn(1, 2)))
    assert [node.op.kind for node in traced.graph] == ["input", "input", "add"]


def test_a_compiled_module_is_traced_through_its_wrapper() -> None:
    model = nn.Sequential(nn.Linear(2, 2))
    compiled = torch.compile(model)
    traced = trace(compiled, torch.randn(1, 2))
    assert traced.lookup(compiled)("0.weight") is model[0].weight


def test_tied_parameters() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    model[2].weight = model[0].weight
    assert_same(model, (4,))


def test_deep_reuse_of_one_value_takes_seconds() -> None:
    """If values were not shared, thirty doublings would make a billion nodes."""

    class Doubling(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            for _ in range(30):
                x = (self.layer(x) + x) * 0.5
            return x

    start = time.perf_counter()
    traced = assert_same(Doubling(), (3,))
    assert len(traced.graph.nodes) == 91
    assert time.perf_counter() - start < 20


def test_constants_of_the_model_get_names_that_are_free() -> None:
    class Normalised(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mean = torch.tensor([0.5, 0.4])
            self.constant_mean = nn.Parameter(torch.ones(2))

        def forward(self, x: Tensor) -> Tensor:
            return (x - self.mean) * self.constant_mean + torch.tensor([1.0, 2.0])

    model = Normalised()
    traced = trace(model, torch.randn(1, 2))
    assert set(traced.constants) == {"constant_mean_", "constant_lifted_tensor_0"}
    assert traced.lookup(model)("constant_mean") is model.constant_mean
    torch.testing.assert_close(traced.lookup(model)("constant_mean_"), model.mean)


def test_unused_values_need_no_rule_and_leave_no_nodes() -> None:
    class Wasteful(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            unused = torch.sin(x).cumsum(0)
            first, _, third = x.split(2, 1)
            del unused
            return first + third

    traced = trace(Wasteful(), torch.randn(1, 6))
    assert [node.op.kind for node in traced.graph] == ["input", "slice", "slice", "add"]
