"""Runs of the network itself in training: over the batch that batch norms learn from, and over other points.

The thesis' heuristic for training with batch norm normalises bounds by the batch's statistics, not the running ones. A
bound then belongs to a network whose normalisation is fixed to the statistics of this clean batch. It holds for that
network, and says nothing of the one used later, with running statistics. So this is for training alone; certificates
always use the running statistics.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from autodual.errors import InvalidInputError
from autodual.train.channel_moments import channel_moments


@dataclass(frozen=True, eq=False)
class CleanPass:
    """Scores `[N, K]` of a clean batch, and each batch norm's mean and variance by the names of its running ones.

    All are differentiable in the parameters. `statistics` is empty if no batch norm learns from the batch.
    """

    scores: Tensor
    statistics: dict[str, Tensor]


def clean_pass(model: nn.Module, x: Tensor) -> CleanPass:
    """One pass over x `[N, *shape]` as in ordinary training, each module in its own mode.

    Raises InvalidInputError where a batch norm that learns is used twice in a pass, or sees a single value a channel.
    """
    found: dict[str, Tensor] = {}
    norms = learning_norms(model)
    with _hooked(module.register_forward_pre_hook(_recorder(name, found)) for name, module in norms.items()):
        scores = _scores(model, x)
    return CleanPass(scores, found)


def learning_pass(model: nn.Module, x: Tensor) -> Tensor:
    """Scores `[N, K]` as in ordinary training, each module in its own mode.

    Raises InvalidInputError where a batch norm that learns sees a single value a channel.
    """
    return clean_pass(model, x).scores if x.shape[0] == 1 else _scores(model, x)


def normalised_pass(model: nn.Module, points: Tensor, statistics: Mapping[str, Tensor]) -> Tensor:
    """Scores `[N, K]` of other points, every batch norm that learns normalising by the clean batch's statistics.

    Without statistics it normalises by its running ones. The points update no running statistics. Other modules, such
    as dropout, act according to their own mode.
    """
    norms = learning_norms(model)
    replaced = norms.items() if statistics else ()
    hooks = (module.register_forward_hook(_normaliser(name, statistics)) for name, module in replaced)
    with in_mode(norms.values(), False), _hooked(hooks):
        return _scores(model, points)


def floating_dtype(model: nn.Module, otherwise: torch.dtype) -> torch.dtype:
    """The dtype that a model computes in: that of its first parameter, if it has one."""
    return next((value.dtype for value in model.parameters() if value.is_floating_point()), otherwise)


def _scores(model: nn.Module, x: Tensor) -> Tensor:
    dtype = floating_dtype(model, x.dtype)
    if x.dtype != dtype:
        raise InvalidInputError(
            f"the samples are {x.dtype} and the model, which is in training mode, is {dtype}: convert one of them"
        )
    return model(x)


def tracking_norms(model: nn.Module) -> dict[str, _BatchNorm]:
    """The batch norms with running statistics, by name."""
    norms = {name: module for name, module in model.named_modules() if isinstance(module, _BatchNorm)}
    return {name: module for name, module in norms.items() if module.track_running_stats}


def learning_norms(model: nn.Module) -> dict[str, _BatchNorm]:
    """The batch norms in training mode, whose running statistics the next batch updates."""
    return {name: module for name, module in tracking_norms(model).items() if module.training}


@contextmanager
def in_mode(modules: Any, training: bool) -> Iterator[None]:
    """Inside, these modules (not those within them) are in training mode or not; afterwards each as it was."""
    modes = {module: module.training for module in modules}
    for module in modes:
        module.training = training
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


@contextmanager
def _hooked(handles: Iterator[torch.utils.hooks.RemovableHandle]) -> Iterator[None]:
    registered = list(handles)
    try:
        yield
    finally:
        for handle in registered:
            handle.remove()


def _recorder(name: str, found: dict[str, Tensor]) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    prefix = f"{name}." if name else ""

    def record(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if f"{prefix}running_mean" in found:
            raise InvalidInputError(f"the batch norm '{name}' is used twice, so it has no one batch's statistics")
        # In mixed precision the values are short; their statistics must not be.
        value = inputs[0].float() if inputs[0].dtype in (torch.bfloat16, torch.float16) else inputs[0]
        if value.numel() == value.shape[1]:
            raise InvalidInputError(
                f"the batch norm '{name}' cannot learn from a batch of one sample: give at least two, or put it in "
                "evaluation mode"
            )
        # The biased variance, by which a batch norm in training normalises.
        found[f"{prefix}running_mean"], found[f"{prefix}running_var"] = channel_moments(value)

    return record


def _normaliser(name: str, statistics: Mapping[str, Tensor]) -> Callable[[nn.Module, Any, Tensor], Tensor]:
    prefix = f"{name}." if name else ""

    def normalise(module: nn.Module, inputs: tuple[Tensor, ...], _output: Tensor) -> Tensor:
        # Written out, since PyTorch's own function passes no gradient to given statistics.
        assert isinstance(module, _BatchNorm)
        mean, variance = (statistics[f"{prefix}running_{key}"] for key in ("mean", "var"))
        scale = (variance + module.eps).rsqrt()
        scale = scale if module.weight is None else scale * module.weight
        offset = -mean * scale if module.bias is None else module.bias - mean * scale
        channels = (1, -1, *[1] * (inputs[0].dim() - 2))
        return inputs[0] * scale.view(channels) + offset.view(channels)

    return normalise
