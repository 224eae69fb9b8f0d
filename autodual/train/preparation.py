"""Makes the network of a recipe, and its dual."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from autodual.architectures import NetworkDescription
from autodual.compiler import compile_dual
from autodual.errors import InvalidInputError
from autodual.network import DualNetwork
from autodual.passes import Pass, RandomProjection, default_pipeline
from autodual.perturbations import require_searchable, require_support
from autodual.train.clean_pass import clean_pass, in_mode, tracking_norms
from autodual.train.recipe import Recipe
from autodual.train.samples import Samples
from autodual.world import World

_CHECKED_AT_ONCE = 1000


def describe_network(recipe: Recipe, x: Tensor, classes: int) -> NetworkDescription:
    """The description of the recipe's network, for raw samples like x `[N, *shape]`."""
    network, data = recipe.network, recipe.data
    return NetworkDescription(
        network.arch, tuple(x.shape[1:]), classes, network.batch_norm, data.mean or None, data.std or None
    )


def dual_to_train(recipe: Recipe, description: NetworkDescription, network: nn.Module, x: Tensor) -> DualNetwork:
    """The dual network to train; it takes raw samples. The model is compiled only if something looks at bounds."""
    passes: list[Pass] = list(default_pipeline())
    if recipe.projection:
        passes.append(RandomProjection(recipe.projection, seed=recipe.seed))
    model = description.of_raw_inputs(network).to(x.device, x.dtype)
    if x.dim() == 4:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    bounded = recipe.loss.bounds or recipe.selected_by == "certified"
    return compile_dual(model, x[:1] if bounded else None, passes=passes, memory_budget=recipe.memory or None)


def check_fit(recipe: Recipe, dual: DualNetwork, samples: Samples, world: World) -> None:
    """Check that network, samples and set fit together.

    Raises InvalidInputError if the recipe's unlabelled samples are missing, if the network has fewer scores than there
    are classes, or if a batch norm would get a batch of one sample, from which it cannot learn; EmptySetError if a
    sample lies outside the set's domain.
    """
    if bool(recipe.data.unlabelled) != (samples.unlabelled is not None):
        raise InvalidInputError(
            "the recipe's data.unlabelled and the samples' own must agree: add them by "
            "autodual.train.unlabelled.with_unlabelled"
        )
    placed = recipe.set.ball(recipe.set.eps).at(samples.x[:1])
    if recipe.loss.bounds or recipe.selected_by == "certified" or recipe.stages > 1:
        require_support(placed)
    if recipe.validation.attack_steps:
        require_searchable(placed, "validation with attack_steps")
    if recipe.watches:
        require_searchable(placed, "the watch for a collapse")
    for x in (samples.x, samples.held_x, *(() if samples.unlabelled is None else (samples.unlabelled.x,))):
        require_inside(recipe, x)
    with in_mode(dual.model.modules(), False), torch.no_grad():
        scores = tuple(dual.run(samples.x[:1]).shape[1:])
    if len(scores) != 1 or scores[0] < samples.classes:
        raise InvalidInputError(
            f"the network's output for a sample has the shape {scores}, but the labels want {samples.classes} scores"
        )
    batch_size = recipe.batch_size
    if not tracking_norms(dual.model) or samples.smallest_share(batch_size, world.size) != 1:
        return
    try:
        clean_pass(copy.deepcopy(dual.model).train(), samples.x[:1])
    except InvalidInputError:
        raise InvalidInputError(
            f"batch_size = {batch_size} of {len(samples.x)} training samples leaves a single sample to a batch, from "
            "which a batch norm cannot learn: take at least 2 for each process"
        ) from None


def require_inside(recipe: Recipe, x: Tensor) -> None:
    """Raise EmptySetError if a sample of x `[N, *shape]` lies outside the set's domain."""
    if len(x) and (recipe.set.domain or recipe.set.options):
        for part in x.split(_CHECKED_AT_ONCE):
            recipe.set.ball(recipe.set.eps).at(part)


def fast_layout(x: Tensor) -> Tensor:
    """Images in the memory layout channels-last, which is faster for convolutions."""
    return x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x
