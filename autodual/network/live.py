"""The tensors of a model by the names in its graph, as they are now: what stays live after compilation."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from autodual.errors import InvalidInputError, ModelChangedError
from autodual.tensors import unfit


def live_tensors(model: nn.Module, shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    """The model's parameters and buffers of these names and shapes.

    Raises:
        ModelChangedError: the model has no parameter or buffer of a name any more, or one of another shape.
        InvalidInputError: it is complex, sparse, quantised, on the meta device, or else no array of real numbers.
    """
    return {name: _live(model, name, shape) for name, shape in shapes.items()}


@lru_cache(maxsize=4096)
def _parts(name: str) -> tuple[str, ...]:
    return tuple(name.split("."))


def _live(model: nn.Module, name: str, shape: torch.Size) -> Tensor:
    *path, last = _parts(name)
    owner: Any = model
    for part in path:
        inner = owner._modules.get(part) if isinstance(owner, nn.Module) else None
        owner = getattr(owner, part, None) if inner is None else inner
    value = None
    if isinstance(owner, nn.Module):
        value = owner._parameters.get(last, owner._buffers.get(last))
    if value is None:
        raise ModelChangedError(
            f"the model has no parameter or buffer '{name}' any more, because of another layer or a parametrisation in "
            "its place; compile it again: compile_dual"
        )
    if value.shape != shape:
        raise ModelChangedError(
            f"'{name}' has the shape {list(value.shape)}, but had {list(shape)} when the model was compiled; compile "
            "it again: compile_dual"
        )
    if reason := unfit(value):
        raise InvalidInputError(f"'{name}' {reason}.")
    return value
