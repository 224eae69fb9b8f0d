"""The thesis' heuristic for training with batch norm: normalise bounds by the batch's statistics, not the running ones.

A bound then belongs to a network whose normalisation is fixed to the statistics of this clean batch: it is right for
that network, and says nothing of the one that is used later, with running statistics. So this serves training alone;
certificates always use the running statistics.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from autodual.errors import InvalidInputError


def batch_statistics(model: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """Mean and variance of the clean batch x `[N, *shape]` at every batch norm, by the names of the running ones.

    One forward pass in training mode, from which the running statistics learn as in ordinary training; the model's mode
    is restored. The tensors are differentiable in the parameters. Raises InvalidInputError for a model that has no
    batch norm with running statistics, and for one that reads one twice in a pass.
    """
    norms = {name: module for name, module in model.named_modules() if isinstance(module, _BatchNorm)}
    norms = {name: module for name, module in norms.items() if module.track_running_stats}
    if not norms:
        raise InvalidInputError("batch statistics need a model with batch norm that tracks running statistics")
    found: dict[str, Tensor] = {}
    with _hooked(norms, found), _training(model):
        model(x)
    return found


@contextmanager
def _training(model: nn.Module) -> Iterator[None]:
    """Training mode, and afterwards every module in the mode it had."""
    modes = {module: module.training for module in model.modules()}
    model.train()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


@contextmanager
def _hooked(norms: dict[str, _BatchNorm], found: dict[str, Tensor]) -> Iterator[None]:
    handles = [module.register_forward_pre_hook(_recorder(name, found)) for name, module in norms.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _recorder(name: str, found: dict[str, Tensor]) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    prefix = f"{name}." if name else ""

    def record(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if f"{prefix}running_mean" in found:
            raise InvalidInputError(f"the batch norm '{name}' is used twice, so it has no one batch's statistics")
        (value,) = inputs
        axes = [axis for axis in range(value.dim()) if axis != 1]
        # The biased variance, by which a batch norm in training normalises.
        variance, mean = torch.var_mean(value, axes, correction=0)
        found[f"{prefix}running_mean"], found[f"{prefix}running_var"] = mean, variance

    return record
