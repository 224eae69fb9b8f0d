"""`load_cascade`: the stages of a cascade from one file, loaded as `load_model` does."""

from __future__ import annotations

import hashlib
from os import PathLike
from pathlib import Path

from torch import nn

from autodual.errors import ModelFileError
from autodual.files.architecture import Factory, resolve_factory
from autodual.files.container import Kind, identify, read_model_bytes
from autodual.files.model import LoadedModel, model_in, unpickled
from autodual.files.modules import check_finite, check_module


def load_cascade(
    path: str | PathLike[str], factory: Factory | str | None = None, *, unsafe: bool = False
) -> list[nn.Module]:
    """The stages in the `torch.save` file `path`, in order, on the CPU and in evaluation mode.

    The file holds a list (itself, or under the key `state_dict`) of anything that `load_model` accepts: state dicts,
    for each of which `factory` builds a network; modules made of `torch.nn` layers, also as an `nn.ModuleList`; or
    networks trained by autodual.

    Args:
        path: the file; nothing in it is executed unless `unsafe`.
        factory: builds the network of a state dict, as in `load_model`.
        unsafe: also load files that execute code while they are loaded.

    Raises:
        ModelFileError: as `load_model`, or the file holds no list; the message names the stage.
        InvalidInputError: a parameter holds NaN or infinity, or the factory cannot be imported.

    Example:
        >>> import autodual, torch
        >>> torch.save([torch.nn.Linear(2, 3), torch.nn.Linear(2, 3)], "cascade.pt")
        >>> cascade = autodual.Cascade([autodual.compile_dual(stage) for stage in autodual.load_cascade("cascade.pt")])
        >>> len(cascade.stages)
        2
    """
    return [loaded.model for loaded in load_cascade_file(path, factory, unsafe=unsafe)]  # type: ignore[misc]


def load_cascade_file(
    path: str | PathLike[str], factory: Factory | str | None = None, *, unsafe: bool = False
) -> list[LoadedModel]:
    """As `load_cascade`, with the kind and the digest of the file for each stage.

    Args:
        path: as in `load_cascade`, and so are `factory` and `unsafe`.

    Raises:
        ModelFileError, InvalidInputError: as `load_cascade`.

    Example:
        >>> import torch
        >>> from autodual.files import load_cascade_file
        >>> torch.save([torch.nn.Linear(2, 3), torch.nn.Linear(2, 3)], "cascade.pt")
        >>> [loaded.kind for loaded in load_cascade_file("cascade.pt")]
        ['torch.save file', 'torch.save file']
    """
    place = Path(path)
    data = read_model_bytes(place)
    kind = identify(place, data)
    if kind is not Kind.PICKLE:
        raise ModelFileError(f"'{place}' is a single network ({kind.value}), not a cascade.")
    build = resolve_factory(factory) if isinstance(factory, str) else factory
    digest = hashlib.sha256(data).hexdigest()
    loaded = []
    for number, content in enumerate(_stages(str(place), unpickled(str(place), data, unsafe), unsafe), start=1):
        name = f"{place}, stage {number}"
        model, trained = model_in(name, content, unsafe, build)
        check_finite(name, {**dict(model.named_parameters()), **dict(model.named_buffers())})
        loaded.append(LoadedModel(model, place, kind.value, digest, trained))
    return loaded


def _stages(name: str, content: object, unsafe: bool) -> list[object]:
    """The unpickled content of each stage."""
    for key in ("state_dict", "model_state_dict"):
        if isinstance(content, dict) and isinstance(content.get(key), (list, tuple)):
            content = content[key]
    if isinstance(content, nn.ModuleList):
        if not unsafe:
            check_module(name, content)  # before any of its methods is called
        content = list(content)
    if not isinstance(content, (list, tuple)) or not content:
        raise ModelFileError(f"'{name}' holds no list of networks, so it is no cascade.")
    return list(content)
