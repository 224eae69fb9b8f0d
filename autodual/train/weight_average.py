"""Weights averaged over steps, which are validated and saved in place of the last step's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from autodual.train.recipe.sections import OptimiserSection

# After s steps at most (1 + s) / (10 + s) of the average is kept, so that early averages forget the first weights.
_BEGINNING = 10


class Average:
    """An average of a model's parameters and buffers, by name; integer tensors are copied.

    decay: the share of the average that is kept at each step, in [0, 1); 1 for the mean of all steps, each of which
    counts alike. begin: the epoch from which steps count; before it the average is the present weights.
    """

    def __init__(self, model: nn.Module, decay: float, begin: float = 0.0):
        self.decay, self.begin, self.steps = decay, begin, 0
        self.tensors = {name: value.detach().clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module, epoch: float) -> None:
        """Move the average towards the present weights, those of a step that ended `epoch` epochs after the start."""
        kept = 0.0
        if epoch > self.begin:
            self.steps += 1
            kept = self._kept()
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                self.tensors[name].lerp_(value, 1 - kept)
            else:
                self.tensors[name].copy_(value)

    def _kept(self) -> float:
        """The share of the average that the present step keeps."""
        if self.decay == 1:
            return (self.steps - 1) / self.steps
        return min(self.decay, (1 + self.steps) / (_BEGINNING + self.steps))

    def state(self) -> dict[str, Any]:
        """The state, for a checkpoint."""
        return {"steps": self.steps, "tensors": self.tensors}

    @torch.no_grad()
    def load(self, state: Mapping[str, Any]) -> None:
        """Take over the state of a checkpoint."""
        self.steps = int(state["steps"])
        for name, value in state["tensors"].items():
            self.tensors[name].copy_(value)


def average_of(model: nn.Module, section: OptimiserSection) -> Average | None:
    """The average that a recipe asks for, if it does."""
    return Average(model, section.averaging, section.averaging_from) if section.averaging else None
