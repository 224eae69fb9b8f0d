"""The ordinary pass over a clean batch that training begins with: its scores, and what batch norms saw of it.

The thesis' heuristic for training with batch norm normalises bounds by the batch's statistics, not the running ones. A
bound then belongs to a network whose normalisation is fixed to the statistics of this clean batch: it is right for
that network, and says nothing of the one that is used later, with running statistics. So this serves training alone;
certificates always use the running statistics.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from autodual.errors import InvalidInputError


@dataclass(frozen=True, eq=False)
class CleanPass:
    """Scores `[N, K]` of a clean batch, and by the names of the running ones mean and variance at every batch norm.

    All differentiable in the parameters. No statistics where there are no batch norms that keep running ones.
    """

    scores: Tensor
    statistics: dict[str, Tensor]


def clean_pass(model: nn.Module, x: Tensor) -> CleanPass:
    """One pass over x `[N, *shape]` in training mode, from which running statistics learn as in ordinary training.

    The model's mode is restored. Raises InvalidInputError for a model that uses a batch norm twice in a pass.
    """
    found: dict[str, Tensor] = {}
    with _hooked(tracking_norms(model), found), _training(model):
        scores = model(x)
    return CleanPass(scores, found)


def tracking_norms(model: nn.Module) -> dict[str, _BatchNorm]:
    """The batch norms with running statistics, by name."""
    norms = {name: module for name, module in model.named_modules() if isinstance(module, _BatchNorm)}
    return {name: module for name, module in norms.items() if module.track_running_stats}


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
        # In mixed precision the values are short; their statistics must not be.
        value = inputs[0].float() if inputs[0].dtype in (torch.bfloat16, torch.float16) else inputs[0]
        axes = [axis for axis in range(value.dim()) if axis != 1]
        # The biased variance, by which a batch norm in training normalises.
        variance, mean = torch.var_mean(value, axes, correction=0)
        found[f"{prefix}running_mean"], found[f"{prefix}running_var"] = mean, variance

    return record
