"""Runs of a function at points, and the way back from each to a gradient at these."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator
from typing import Any

import torch
from torch import Tensor

from autodual.attacks.base import Function
from autodual.attacks.input_gradient import InputGradients


class NetworkRun(ABC):
    """One run of a function. It can go back once.

    outputs: `[N, *shape]`, without a graph.
    """

    outputs: Tensor

    @abstractmethod
    def gradient(self, slope: Tensor) -> Tensor:
        """The gradient by the points, `[N, *shape]`, of a loss.

        Args:
            slope: the loss's gradient by the flattened outputs, `[N, K]`.
        """


class UsualRun(NetworkRun):
    """A run with autograd's graph."""

    def __init__(self, function: Function, points: Tensor, gradients: InputGradients):
        self._gradients = gradients
        with torch.inference_mode(False), torch.enable_grad():
            points = points.clone() if points.is_inference() else points.detach()
            self._points = points.requires_grad_()
            self._found = function(self._points)
        self.outputs = self._found.detach()

    def gradient(self, slope: Tensor) -> Tensor:
        return self._gradients.of(self._found, slope, self._points)


class ReplayedRun(NetworkRun):
    """A run of recorded operations."""

    def __init__(self, program: Generator[Any, Tensor, None]):
        self._program = program
        self.outputs = next(program)

    def gradient(self, slope: Tensor) -> Tensor:
        return self._program.send(slope)[0]
