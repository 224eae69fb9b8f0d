"""Wraps a model of several inputs as a model of one, so that everything else deals with a single input."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from autodual.errors import InvalidInputError
from autodual.inputs import Samples, sample_tensor
from autodual.perturbations import PerturbationSet, ProductSet
from autodual.tensors import flat


class JoinedInputs(nn.Module):
    """Takes a model's inputs flattened and side by side, `[N, total]`, and splits them for the model again.

    shapes: of one sample of each input, in the order of the model's arguments.
    """

    def __init__(self, model: nn.Module, shapes: Sequence[Sequence[int]]):
        super().__init__()
        self.model = model
        self.shapes = tuple(tuple(shape) for shape in shapes)

    def forward(self, x: Tensor):
        pieces = x.split([math.prod(shape) for shape in self.shapes], dim=1)
        return self.model(*(piece.reshape(x.shape[0], *shape) for piece, shape in zip(pieces, self.shapes)))

    def join(self, *inputs: Samples) -> Tensor:
        """The model's inputs `[N, *shape]` as one tensor `[N, total]`.

        Raises InvalidInputError unless there are as many as the model takes, each of its own shape.
        """
        tensors = [sample_tensor(value, f"input {place}") for place, value in enumerate(inputs)]
        if tuple(tuple(value.shape[1:]) for value in tensors) != self.shapes:
            found = ", ".join(str(list(value.shape)) for value in tensors)
            wanted = ", ".join(str(["N", *shape]).replace("'", "") for shape in self.shapes)
            raise InvalidInputError(f"the model takes inputs of the shapes {wanted}, but got {found}")
        return torch.cat([flat(value) for value in tensors], 1)

    def ball(self, *sets: PerturbationSet | None) -> ProductSet:
        """The set of joined inputs in which each moves within its own set; None keeps an input fixed."""
        return ProductSet(sets, self.shapes)
