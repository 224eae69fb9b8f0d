"""Training steps as static graphs, which a run captures when it first needs them and then replays.

Scheduled numbers that move are inputs of a graph. Those that stand at 0 or 1, where losses leave whole terms out, are
part of its form, so that a run needs one graph for each such form and size of batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from autodual.errors import CaptureError, TrainingError
from autodual.network import DualNetwork, capture
from autodual.train.mixed_labels import MixedLabels
from autodual.train.recipe import Recipe

#: A number of a step: fixed, or an input of its graph.
Number = float | Tensor
#: (samples, labels, radius, scheduled numbers) → the mean loss.
MeanLoss = Callable[[Tensor, Tensor, Number, Mapping[str, Number]], Tensor]

#: The radius beside the scheduled numbers; no field of a loss has this name.
_RADIUS = ""


class CapturedSteps:
    """Mean losses of batches, and their gradients, by graphs.

    loss: what a graph computes, with its gradients.
    """

    def __init__(self, recipe: Recipe, dual: DualNetwork, loss: MeanLoss):
        self.recipe, self.dual, self._loss = recipe, dual, loss
        self._graphs: dict[Any, Callable[..., Any]] = {}

    def descend(self, epoch: float, x: Tensor, labels: Tensor | MixedLabels) -> Tensor:
        """The mean loss of samples, as it is at an epoch; the parameters get its gradients.

        Raises TrainingError where the loss cannot be captured.
        """
        assert isinstance(labels, Tensor), "labels are mixed for losses without bounds alone"
        numbers = {_RADIUS: self.recipe.radius(epoch), **self.recipe.numbers_at(epoch)}
        still = {name: value for name, value in numbers.items() if value in (0.0, 1.0)}
        moving = {name: value for name, value in numbers.items() if name not in still}
        # As exact as the numbers that the same steps have without a graph.
        inputs = [torch.tensor(value, dtype=torch.float64, device=x.device) for value in moving.values()]
        form = x.shape, tuple(still.items())
        if form not in self._graphs:
            self._graphs[form] = self._captured(x, labels, still, tuple(moving), inputs)
        loss, gradients = self._graphs[form](x, labels, *inputs)
        for parameter, gradient in zip(self._parameters, gradients, strict=True):
            parameter.grad = gradient
        return loss

    @property
    def _parameters(self) -> list[Tensor]:
        return [parameter for parameter in self.dual.model.parameters() if parameter.requires_grad]

    def _captured(
        self, x: Tensor, labels: Tensor, still: Mapping[str, float], moving: tuple[str, ...], inputs: list[Tensor]
    ) -> Callable[..., Any]:
        def step(x: Tensor, labels: Tensor, *inputs: Tensor) -> tuple[Tensor, tuple[Tensor | None, ...]]:
            numbers: dict[str, Number] = {**still, **dict(zip(moving, inputs))}
            loss = self._loss(x, labels, numbers.pop(_RADIUS), numbers)
            return loss, torch.autograd.grad(loss, self._parameters, allow_unused=True)

        try:
            graph = capture(step, self.dual, x, labels, *inputs)
        except CaptureError as error:
            raise TrainingError(f'this recipe needs execution = "eager": {error}') from error
        if self.recipe.execution == "graph":
            return graph
        # On a GPU the kernels are launched at once, as a CUDA graph.
        return torch.compile(graph, fullgraph=True, mode="reduce-overhead" if x.is_cuda else None)
