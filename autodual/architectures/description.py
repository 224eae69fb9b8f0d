"""What it takes to build a trained network again: plain data that a file can hold beside the weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

from autodual.architectures.build import build_architecture, is_architecture
from autodual.architectures.normalise import Normalise
from autodual.errors import InvalidInputError


@dataclass(frozen=True)
class NetworkDescription:
    """An architecture for samples of a shape.

    arch: a name of `ARCHITECTURES`, or `place:factory` for one of the user's own. mean, std: one number, or one a
    channel, of the inputs that the network itself is fed, (x - mean) / std; None: it takes raw inputs.
    """

    arch: str
    shape: tuple[int, ...]
    classes: int
    batch_norm: bool = False
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    @property
    def own(self) -> bool:
        """Whether the architecture is one of autodual's, which no foreign code need be run for."""
        return is_architecture(self.arch)

    def build(self, factory: Callable[[], nn.Module] | None = None) -> nn.Module:
        """The network that is fed normalised inputs, untrained; `factory` builds it if the architecture is the user's.

        Raises InvalidInputError for an unknown architecture, or one that does not fit the shape.
        """
        if factory is not None:
            return factory()
        return build_architecture(self.arch, self.shape, self.classes, batch_norm=self.batch_norm)

    def of_raw_inputs(self, network: nn.Module) -> nn.Module:
        """The network with the normalisation in front of it, if there is one."""
        if self.mean is None or self.std is None:
            return network
        first = Normalise(self.mean, self.std, self.shape)
        parameter = next(network.parameters(), None)
        return nn.Sequential(first if parameter is None else first.to(parameter.device, parameter.dtype), network)

    def to_mapping(self) -> dict[str, Any]:
        """Plain values, for files."""
        return asdict(self)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> NetworkDescription:
        """From what `to_mapping` gave; raises InvalidInputError for anything else."""
        try:
            pairs = {key: None if values[key] is None else tuple(map(float, values[key])) for key in ("mean", "std")}
            shape = tuple(int(extent) for extent in values["shape"])
            return cls(str(values["arch"]), shape, int(values["classes"]), bool(values["batch_norm"]), **pairs)
        except (KeyError, TypeError, ValueError):
            raise InvalidInputError("the description of the network is damaged") from None
