"""The thesis' architectures: their layers, sizes and names, and descriptions that build them again."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import autodual
from autodual.architectures import NetworkDescription, Normalise, build_architecture, is_architecture
from autodual.errors import InvalidInputError


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("small", 166_406),  # 16·17 + 32·257 + 100·1,569 + 10·101
        ("large", 1_974_762),
        ("wide:1", 4 * 17 + 8 * 65 + 128 * 393 + 1_290),
        ("deep:1", 8 * 17 + 16 * 129 + 100 * 785 + 1_010),
    ],
)
def test_sizes_are_the_published_ones(name: str, count: int) -> None:
    assert parameters(build_architecture(name, (1, 28, 28), 10)) == count


@pytest.mark.parametrize("name", ["small", "medium", "large", "resnet", "wide:2", "deep:3", "mlp:7"])
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
    ],
)
def test_unknown_and_unfit_names_are_refused(name: str, shape: tuple[int, ...], words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        build_architecture(name, shape, 3)


def test_names_and_factories_are_told_apart() -> None:
    assert is_architecture("small") and is_architecture("wide:3")
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
