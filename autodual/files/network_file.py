"""Files that autodual's training writes: weights, and a description from which their network is built without code."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from autodual.architectures import NetworkDescription, present_name
from autodual.errors import InvalidInputError, ModelFileError
from autodual.files.architecture import Factory, build
from autodual.files.state_dict import fill, fitting, is_state_dict

_MARK, _VERSION = "autodual_network", 2


@dataclass(frozen=True, eq=False)
class NetworkFile:
    """A trained network as data. trained: plain values about its training, with the perturbation set."""

    description: NetworkDescription
    state_dict: Mapping[str, Tensor]
    trained: Mapping[str, Any] = field(default_factory=dict)

    def to_mapping(self) -> dict[str, Any]:
        """The file's content: plain values, and tensors on the CPU."""
        return {
            _MARK: _VERSION,
            "network": self.description.to_mapping(),
            "state_dict": {name: value.detach().cpu().clone() for name, value in self.state_dict.items()},
            "trained": dict(self.trained),
        }


def network_bytes(file: NetworkFile) -> bytes:
    """The bytes of a network file, written by `torch.save`; readable with `weights_only=True`."""
    return _saved(file.to_mapping())


def cascade_bytes(stages: Sequence[NetworkFile]) -> bytes:
    """The bytes of a file with the list of a cascade's stages, for `load_cascade`."""
    return _saved([stage.to_mapping() for stage in stages])


def _saved(content: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def is_network_file(content: object) -> bool:
    """Whether the content of an unpickled file is that of a network file."""
    return isinstance(content, dict) and _MARK in content


def read_network_file(name: str, content: Mapping[str, Any]) -> NetworkFile:
    """The network file with this content; raises ModelFileError if it is damaged, or of a newer version."""
    version = content[_MARK]
    if type(version) is not int or not 1 <= version <= _VERSION:
        raise ModelFileError(f"'{name}' is of a newer version than this autodual reads; upgrade autodual.")
    try:
        description = NetworkDescription.from_mapping(content.get("network"))
    except InvalidInputError as error:
        raise ModelFileError(f"'{name}' is damaged: {error}.") from None
    if version == 1:
        description = replace(description, arch=present_name(description.arch))
    state, trained = content.get("state_dict"), content.get("trained", {})
    if not isinstance(state, Mapping) or not all(map(_is_weight, state.items())):
        raise ModelFileError(f"'{name}' is damaged: it lacks the network's weights.")
    if not isinstance(trained, Mapping):
        raise ModelFileError(f"'{name}' is damaged: its data about training are not a table.")
    return NetworkFile(description, state, trained)


def _is_weight(item: tuple[Any, Any]) -> bool:
    return isinstance(item[0], str) and isinstance(item[1], Tensor)


def build_network(name: str, file: NetworkFile, factory: Factory | None) -> nn.Module:
    """The trained network, taking raw inputs, in evaluation mode.

    `factory` builds the architecture if it is not one of autodual's. Raises ModelFileError if the weights do not fit,
    or the factory is missing.
    """
    description = file.description
    if factory is None and not description.own:
        raise ModelFileError(
            f"'{name}' is of the architecture {description.arch}; give factory='{description.arch}' to run that code."
        )
    if factory is not None and description.own:
        raise InvalidInputError(f"'{name}' already holds the architecture; leave out factory=.")
    state = file.state_dict
    if not is_state_dict(state):
        raise ModelFileError(f"'{name}' is damaged: it holds no weights.")
    try:
        if factory is None:
            # Nothing is allocated before the weights in the file are known to fit its description.
            with torch.device("meta"):
                fitting(name, description.build(), state)
        network = description.build() if factory is None else build(factory)
    except (InvalidInputError, ArithmeticError, RuntimeError, TypeError, ValueError) as error:
        reason = error if isinstance(error, InvalidInputError) else "its description is not that of a network"
        raise ModelFileError(f"'{name}' is damaged: {reason}.") from None
    fill(name, network, state)
    return description.of_raw_inputs(network).eval()
