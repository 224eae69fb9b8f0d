"""A model of Foolbox as the module that it is, preprocessing included, which can be compiled."""

from __future__ import annotations

from inspect import getclosurevars
from typing import Any

import torch
from torch import Tensor, nn

from autodual.errors import InvalidInputError


class Preprocessing(nn.Module):
    """(x − mean) / std, after the order of one axis has been reversed.

    Args:
        mean, std: broadcast to samples `[N, *shape]`.
        flip_axis: as Foolbox counts it, the batch included; None: none.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Tensor, std: Tensor, flip_axis: int | None) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)
        self.flip_axis = flip_axis

    def forward(self, x: Tensor) -> Tensor:
        """The inputs of the network behind it.

        Args:
            x: `[N, *shape]`.
        """
        turned = x if self.flip_axis is None else x.flip(self.flip_axis)
        return (turned - self.mean) / self.std


def from_foolbox_model(model: Any, module: nn.Module | None = None) -> nn.Module:
    """The network of a `foolbox.PyTorchModel`, with its preprocessing, for `compile_dual` and attacks.

    It shares the parameters. Its domain, `domain=tuple(model.bounds)`, belongs into the set.

    Args:
        model: a `PyTorchModel`, or what its `transform_bounds` returns.
        module: the network that was given to it; None: it is looked for inside.

    Raises:
        InvalidInputError: it is another model, or does not hold its module in the way that is known.

    Example:
        >>> import torch
        >>> from autodual.adapters import from_foolbox_model
        >>> from_foolbox_model(torch.nn.Identity())  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        autodual.errors.InvalidInputError: from_foolbox_model takes a PyTorchModel of Foolbox, not a Identity; ...
    """
    inner = getattr(model, "_model", None)
    if inner is None or not hasattr(model, "bounds"):
        raise InvalidInputError(
            f"from_foolbox_model takes a PyTorchModel of Foolbox, not a {type(model).__name__}; of other networks, "
            "wrap the module yourself"
        )
    if hasattr(inner, "bounds"):  # the wrapper that transforms bounds
        return nn.Sequential(_between(model.bounds, inner.bounds), *_parts(from_foolbox_model(inner, module)))
    module = module or getclosurevars(inner).nonlocals.get("model")
    arguments = getattr(model, "_preprocess_args", None)
    if not isinstance(module, nn.Module) or arguments is None:
        raise InvalidInputError(
            "this Foolbox model does not show its module and its preprocessing; pass module=, or build the network "
            "from them yourself"
        )
    mean, std, flip_axis = arguments
    if mean is None and std is None and flip_axis is None:
        return module
    raw = torch.zeros(()) if mean is None else mean.raw, torch.ones(()) if std is None else std.raw
    return nn.Sequential(Preprocessing(*raw, flip_axis), module)


def _between(outer: tuple[float, float], inner: tuple[float, float]) -> Preprocessing:
    """From one range of inputs to another: (x − a) / (b − a) · (d − c) + c."""
    (a, b), (c, d) = outer, inner
    std = (b - a) / (d - c)
    return Preprocessing(torch.tensor(a - c * std), torch.tensor(std), None)


def _parts(network: nn.Module) -> list[nn.Module]:
    """The parts of a network made here; any other is its own only part."""
    parts = list(network) if isinstance(network, nn.Sequential) else []
    return parts if parts and isinstance(parts[0], Preprocessing) else [network]
