"""The description from which a trained network is rebuilt: plain data that a file holds beside the weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

from autodual.architectures.build import build_architecture, is_architecture
from autodual.architectures.normalise import Normalise
from autodual.errors import InvalidInputError

_LARGEST = 2**31


@dataclass(frozen=True)
class NetworkDescription:
    """An architecture for samples of a shape.

    Args:
        arch: a name in `ARCHITECTURES`, or `place:factory` for the user's own.
        shape: of one sample.
        classes: the number of outputs.
        batch_norm: whether batch norm follows each layer except the last, where the architecture leaves that open.
        mean, std: one number, or one per channel: the network is fed (x - mean) / std; None: it takes raw inputs.

    Example:
        >>> from autodual.architectures import NetworkDescription
        >>> description = NetworkDescription("mlp:8", (4,), 3)
        >>> NetworkDescription.from_mapping(description.to_mapping()) == description
        True
    """

    arch: str
    shape: tuple[int, ...]
    classes: int
    batch_norm: bool = False
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    @property
    def own(self) -> bool:
        """Whether the architecture is one of autodual's, so that no foreign code needs to run."""
        return is_architecture(self.arch)

    def build(self) -> nn.Module:
        """The untrained network, without normalisation.

        Raises InvalidInputError if the architecture is unknown, does not fit the shape, or is too large.
        """
        return build_architecture(self.arch, self.shape, self.classes, batch_norm=self.batch_norm)

    def of_raw_inputs(self, network: nn.Module) -> nn.Module:
        """The network, with the normalisation in front of it if there is one.

        Args:
            network: takes normalised inputs.
        """
        if self.mean is None or self.std is None:
            return network
        first = Normalise(self.mean, self.std, self.shape)
        parameter = next(network.parameters(), None)
        return nn.Sequential(first if parameter is None else first.to(parameter.device, parameter.dtype), network)

    def to_mapping(self) -> dict[str, Any]:
        """Plain values, for files."""
        return asdict(self)

    @classmethod
    def from_mapping(cls, values: Any) -> NetworkDescription:
        """The inverse of `to_mapping`.

        Args:
            values: what `to_mapping` returned.

        Raises:
            InvalidInputError: they are anything else.
        """
        if not isinstance(values, Mapping) or not _is_description(values):
            raise InvalidInputError("the description of the network is damaged")
        pairs = {key: None if values[key] is None else tuple(map(float, values[key])) for key in ("mean", "std")}
        return cls(values["arch"], tuple(values["shape"]), values["classes"], values["batch_norm"], **pairs)


def _is_description(values: Mapping[str, Any]) -> bool:
    """Whether these are the plain values of a description; a file may hold anything instead."""
    arch, shape, classes = (values.get(key) for key in ("arch", "shape", "classes"))
    extents = [*shape, classes] if isinstance(shape, (list, tuple)) else [None]
    return (
        type(arch) is str
        and type(values.get("batch_norm")) is bool
        and all(type(extent) is int and 1 <= extent < _LARGEST for extent in extents)
        and all(_is_numbers(values.get(key)) for key in ("mean", "std"))
    )


def _is_numbers(values: Any) -> bool:
    if values is None:
        return True
    return isinstance(values, (list, tuple)) and all(
        type(value) in (int, float) and abs(value) < math.inf for value in values
    )
