"""Optimisers, and weights averaged over steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from autodual.train.recipe.sections import OptimiserSection

# Averages begin as those of all weights so far: after s steps at most (1 + s) / (10 + s) of the average is kept.
_BEGINNING = 10


def make_optimiser(model: nn.Module, section: OptimiserSection) -> torch.optim.Optimizer:
    """The optimiser of a recipe; biases and all parameters of norm layers, which have one axis, do not decay."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": section.weight_decay},
        {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    # The learning rate is set anew before each step.
    if section.kind == "sgd":
        return torch.optim.SGD(groups, lr=0.0, momentum=section.momentum, nesterov=section.momentum > 0)
    return (torch.optim.AdamW if section.kind == "adamw" else torch.optim.Adam)(groups, lr=0.0)


class Average:
    """An exponential moving average of a model's parameters and buffers, by name.

    `decay` in [0, 1): how much of the average is kept at each step. Whole numbers are copied.
    """

    def __init__(self, model: nn.Module, decay: float):
        self.decay, self.steps = decay, 0
        self.tensors = {name: value.detach().clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take in the weights as they are now."""
        self.steps += 1
        weight = 1 - min(self.decay, (1 + self.steps) / (_BEGINNING + self.steps))
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                self.tensors[name].lerp_(value, weight)
            else:
                self.tensors[name].copy_(value)

    def state(self) -> dict[str, Any]:
        """For checkpoints."""
        return {"steps": self.steps, "tensors": self.tensors}

    def load(self, state: Mapping[str, Any]) -> None:
        """From a checkpoint."""
        self.steps = int(state["steps"])
        for name, value in state["tensors"].items():
            _copy(self.tensors[name], value)


@torch.no_grad()
def _copy(target: Tensor, source: Tensor) -> None:
    target.copy_(source)
