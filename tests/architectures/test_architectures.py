"""The thesis' architectures: their layers, sizes and names, and descriptions that build them again."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import autodual
from autodual.architectures import (
    PRINTED_SIZES,
    NetworkDescription,
    NetworkSize,
    Normalise,
    architecture_size,
    build_architecture,
    is_architecture,
    network_size,
    present_name,
)
from autodual.architectures.preactivated import PreactivatedBlock, preactivated
from autodual.errors import InvalidInputError


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(("name", "shape"), PRINTED_SIZES)
def test_sizes_are_those_of_table_3_4(name: str, shape: tuple[int, ...]) -> None:
    printed = PRINTED_SIZES[name, shape]
    size = architecture_size(name, shape)
    assert size.parameters == printed.size.parameters
    if printed.remark:
        assert f"{size.units:,}" in printed.remark
    else:
        assert size.units == printed.size.units


@pytest.mark.parametrize(
    ("name", "units", "count"),
    [
        ("wide:1", 4 * 196 + 8 * 49 + 128, 4 * 17 + 8 * 65 + 128 * 393 + 1_290),
        ("wide:3", 3 * (4 * 196 + 8 * 49 + 128), 12 * 17 + 24 * 193 + 384 * (24 * 49 + 1) + 3_850),
        ("wide-128:3", 3 * (4 * 196 + 8 * 49) + 128, 12 * 17 + 24 * 193 + 128 * (24 * 49 + 1) + 1_290),
        ("deep:1", 8 * 196 + 16 * 49 + 100, 8 * 17 + 16 * 129 + 100 * 785 + 1_010),
        ("resnet-identity", 69_992, 3_226_130),
        ("six-layer:2-5", 2 * (784 + 196) + 4 * (196 + 49) + 5, 20 + 66 + 76 + 260 + 5 * 197 + 60),
        ("seven-layer:2", 4 * 784 + 12 * 196 + 512, 20 + 38 + 76 + 2 * 148 + 512 * 785 + 5_130),
        ("shallow:500", 500, 785 * 500 + 5_010),
    ],
)
def test_sizes_of_other_networks(name: str, units: int, count: int) -> None:
    assert architecture_size(name, (1, 28, 28)) == NetworkSize(units, count)
    network = build_architecture(name, (1, 28, 28), 10)
    assert network_size(network, (1, 28, 28)) == NetworkSize(units, count)
    assert not any(module._forward_hooks for module in network.modules())


def test_names_in_earlier_files_are_those_of_the_networks_of_then() -> None:
    assert [present_name(name) for name in ("wide:8", "resnet")] == ["wide-128:8", "resnet-identity"]
    for name in ("wrn:28-10", "deep:2", "wide.py:build", "wider:3"):
        assert present_name(name) == name


@pytest.mark.parametrize(
    ("name", "shape", "count"),
    [
        ("preact18", (3, 32, 32), 11_172_170),
        ("wrn:28-10", (3, 32, 32), 36_479_194),  # 36.5 M, Zagoruyko and Komodakis' table 4
        ("wrn:34-10", (3, 32, 32), 46_160_474),
        ("wrn:34-20", (3, 32, 32), 184_531_674),
        ("pooling", (1, 28, 28), 32 * 26 + 64 * 801 + 1024 * (49 * 64 + 1) + 10_250),
    ],
)
def test_sizes_of_the_networks_of_chapters_4_and_5(name: str, shape: tuple[int, ...], count: int) -> None:
    with torch.device("meta"):
        assert parameters(build_architecture(name, shape, 10)) == count


def test_preactivated_blocks_halve_the_sides_and_add_the_input_itself_where_sizes_agree() -> None:
    network = build_architecture("wrn:16-1", (3, 9, 12), 4).eval()
    shapes = []
    for module in network:
        if isinstance(module, PreactivatedBlock):
            module.register_forward_hook(lambda _module, _inputs, output: shapes.append(tuple(output.shape[1:])))
    x = torch.rand(2, 3, 9, 12)
    assert network(x).shape == (2, 4)
    assert shapes == [(16, 9, 12)] * 2 + [(32, 5, 6)] * 2 + [(64, 3, 3)] * 2
    block, z = network[1], torch.randn(2, 16, 5, 5)
    nn.init.zeros_(block.second.weight)
    assert torch.equal(block(z), z)


@pytest.fixture(scope="module")
def narrow() -> tuple[nn.Module, autodual.DualNetwork]:
    """A PreAct-ResNet of few filters, whose batch norms have seen data, and its dual."""
    torch.manual_seed(1)
    network = preactivated((2, 6, 7), 3, [3, 3, 5], 1).double()
    for _ in range(3):
        network(torch.rand(16, 2, 6, 7, dtype=torch.float64))
    return network.eval(), autodual.compile_dual(network.eval())


@pytest.mark.parametrize("inner", ["dual", "interval"])
def test_bounds_of_a_preactivated_network_hold_at_samples(narrow, inner: str) -> None:
    network, dual = narrow
    x, labels, ball = torch.rand(3, 2, 6, 7, dtype=torch.float64), torch.tensor([0, 1, 2]), autodual.LinfBall(0.02)
    margins = dual.margins(x, labels, ball, inner=inner)
    points = x + 0.02 * torch.randn(400, *x.shape, dtype=torch.float64).sign()
    with torch.no_grad():
        scores = network(points.flatten(0, 1)).view(400, 3, 3)
        reached = scores.gather(2, labels.expand(400, 3)[..., None]) - scores
        assert bool((margins <= reached.amin(0) + 1e-9).all())
        exact = dual.margins(x, labels, autodual.LinfBall(0.0), inner=inner)
        clean = network(x)
        torch.testing.assert_close(exact, clean.gather(1, labels[:, None]) - clean)


@pytest.mark.parametrize(
    "name",
    [
        *("small", "medium", "large", "resnet", "resnet-identity", "pooling"),
        *("wide:2", "wide-128:2", "deep:3", "shallow:5", "mlp:7"),
    ],
)
@pytest.mark.parametrize("batch_norm", [False, True])
def test_every_architecture_has_a_dual_for_images_of_any_size(name: str, batch_norm: bool) -> None:
    torch.manual_seed(0)
    network = build_architecture(name, (3, 9, 11), 4, batch_norm=batch_norm).eval()
    x = torch.rand(2, 3, 9, 11)
    assert network(x).shape == (2, 4)
    assert any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in network.modules()) == batch_norm
    margins = autodual.compile_dual(network).margins(x, torch.tensor([0, 3]), autodual.LinfBall(1e-4), inner="interval")
    assert bool(margins.isfinite().all())


def test_the_thesis_deep_networks_have_k_layers_of_each_width() -> None:
    filters = [m.out_channels for m in build_architecture("deep:3", (1, 28, 28), 10) if isinstance(m, nn.Conv2d)]
    assert filters == [8, 8, 8, 16, 16, 16]


@pytest.mark.parametrize(
    ("name", "shape", "words"),
    [
        ("tiny", (1, 8, 8), "no architecture"),
        ("wide", (1, 8, 8), "no architecture"),
        ("wide:x", (1, 8, 8), "whole number"),
        ("deep:0", (1, 8, 8), "whole number"),
        ("small", (12,), "use mlp:K"),
        ("preact18", (12,), "use mlp:K"),
        (
            "wrn:28",
            (3, 8, 8),
            "from 10 to 1000 in steps of 6 for DEPTH and .* for WIDTH, such as wrn:28-10",
        ),
        ("wrn:29-1", (3, 8, 8), "in steps of 6"),
        ("wrn:10-1-1", (3, 8, 8), "whole numbers"),
        ("wrn:100-100", (3, 8, 8), "at most 268435456 are built"),
        ("pooling", (1, 3, 8), "too small"),
    ],
)
def test_unknown_and_unfit_names_are_refused(name: str, shape: tuple[int, ...], words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        build_architecture(name, shape, 3)


def test_names_and_factories_are_told_apart() -> None:
    assert is_architecture("small") and is_architecture("wide:3") and is_architecture("wrn:28-10")
    assert not is_architecture("mine.py:build") and not is_architecture("package.module:build")


def test_a_description_survives_as_plain_values_and_normalises() -> None:
    description = NetworkDescription("small", (3, 8, 8), 4, True, (0.5, 0.4, 0.3), (0.2,))
    assert NetworkDescription.from_mapping(description.to_mapping()) == description
    network = description.of_raw_inputs(description.build()).eval()
    assert isinstance(network[0], Normalise)
    x = torch.rand(2, 3, 8, 8)
    means = torch.tensor([0.5, 0.4, 0.3]).view(1, 3, 1, 1)
    torch.testing.assert_close(network(x), network[1]((x - means) / 0.2))
    with pytest.raises(InvalidInputError, match="damaged"):
        NetworkDescription.from_mapping({"arch": "small"})
