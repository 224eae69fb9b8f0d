"""Optimisers, and what they add to gradients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from autodual.errors import InvalidInputError
from autodual.train.recipe.sections import OptimiserSection
from autodual.train.saved_state import Unfit, require_like


def make_optimiser(model: nn.Module, section: OptimiserSection) -> torch.optim.Optimizer:
    """The optimiser of a recipe."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not parameters:
        raise InvalidInputError("the network has no parameter to train")
    decayed = {id(parameter) for parameter in _decayed(model, parameters, section)}
    groups: list[dict[str, Any]] = [
        {"params": [p for p in parameters if id(p) in decayed], "weight_decay": section.weight_decay},
        {"params": [p for p in parameters if id(p) not in decayed], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    # The learning rate is set anew before each step.
    if section.kind == "sgd":
        nesterov = section.nesterov and section.momentum > 0
        return torch.optim.SGD(groups, lr=0.0, momentum=section.momentum, nesterov=nesterov)
    return (torch.optim.AdamW if section.kind == "adamw" else torch.optim.Adam)(groups, lr=0.0)


def _decayed(model: nn.Module, parameters: list[nn.Parameter], section: OptimiserSection) -> list[nn.Parameter]:
    """The parameters that decay."""
    if section.decayed == "all":
        return parameters
    return affine_weights(model) if section.decayed == "affine" else [p for p in parameters if p.dim() > 1]


def affine_weights(model: nn.Module) -> list[nn.Parameter]:
    """The trained weights of linear layers and convolutions, without biases; each once, however often it is used."""
    layers = (module for module in model.modules() if isinstance(module, (nn.Linear, _ConvNd)))
    weights = (module._parameters.get("weight") for module in layers)
    return list({id(weight): weight for weight in weights if weight is not None and weight.requires_grad}.values())


class Penalty:
    """λ Σ |w| over a model's affine weights."""

    def __init__(self, model: nn.Module, weight: float):
        self.weight, self.parameters = weight, affine_weights(model) if weight else []

    @torch.no_grad()
    def add_gradients(self) -> None:
        """Add the penalty's gradient, λ sign(w), to those of the weights."""
        for parameter in self.parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            parameter.grad.add_(parameter.sign(), alpha=self.weight)


def require_optimiser_state(found: Any, optimiser: torch.optim.Optimizer, section: OptimiserSection) -> None:
    """Raise Unfit unless a value from a checkpoint is a state of this optimiser, which was made from the section."""
    state = found.get("state") if isinstance(found, Mapping) else None
    if not isinstance(state, Mapping):
        raise Unfit("'optimiser.state' must be a table")
    own = optimiser.state_dict()
    require_like("optimiser", {**found, "state": {}}, {**own, "state": {}})
    for mine, theirs in zip(own["param_groups"], found["param_groups"]):
        for key, value in mine.items():
            if key != "lr" and theirs[key] != value:  # the learning rate is set anew before each step
                raise Unfit(f"'optimiser.param_groups.{key}' is not the recipe's")
    parameters, entry = [p for group in optimiser.param_groups for p in group["params"]], _entry(section)
    for index, values in state.items():
        if type(index) is not int or not 0 <= index < len(parameters):
            raise Unfit("'optimiser.state' speaks of parameters that the network does not have")
        measure = {key: parameters[index] if _has_axes(value) else value for key, value in entry.items()}
        require_like(f"optimiser.state.{index}", values, measure)
        for key, value in values.items():
            if not _has_axes(value) and value is not None and value < 0:
                raise Unfit(f"'optimiser.state.{index}.{key}' is negative")


def _has_axes(value: Any) -> bool:
    return isinstance(value, Tensor) and value.dim() > 0


def _entry(section: OptimiserSection) -> dict[str, Any]:
    """What such an optimiser stores for a parameter of one entry: tensors of its shape, and counts without axes."""
    model = nn.Module()
    model.weight = nn.Parameter(torch.zeros(1, 1))
    model.weight.grad = torch.zeros(1, 1)
    optimiser = make_optimiser(model, section)
    optimiser.step()
    return dict(optimiser.state[model.weight])
