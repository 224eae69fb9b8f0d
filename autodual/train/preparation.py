"""From a recipe to the network that is trained, and its dual."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from autodual.architectures import NetworkDescription
from autodual.compiler import compile_dual
from autodual.network import DualNetwork
from autodual.passes import Pass, RandomProjection, default_pipeline
from autodual.train.recipe import Recipe


def describe_network(recipe: Recipe, x: Tensor, classes: int) -> NetworkDescription:
    """What the recipe's network is for samples like x `[N, *shape]`, raw ones."""
    network, data = recipe.network, recipe.data
    return NetworkDescription(
        network.arch, tuple(x.shape[1:]), classes, network.batch_norm, data.mean or None, data.std or None
    )


def dual_to_train(recipe: Recipe, description: NetworkDescription, network: nn.Module, x: Tensor) -> DualNetwork:
    """The dual network to train, of raw inputs."""
    passes: list[Pass] = list(default_pipeline())
    if recipe.projection:
        passes.append(RandomProjection(recipe.projection, seed=recipe.seed))
    model = description.of_raw_inputs(network).to(x.device, x.dtype)
    if x.dim() == 4:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return compile_dual(model, x[:1], passes=passes, memory_budget=recipe.memory or None)


def fast_layout(x: Tensor) -> Tensor:
    """Images with their channels side by side, which convolutions work through faster."""
    return x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x
