"""`load_model`: from a file to a module or an exported program, without executing code in the file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from torch import nn
from torch.export import ExportedProgram

from autodual.errors import InvalidInputError
from autodual.files.architecture import Factory, resolve_factory
from autodual.files.container import Kind, identify, read_model_bytes
from autodual.files.exported import load_exported, load_exported_trusting
from autodual.files.modules import allowed_classes, check_finite, check_module
from autodual.files.network_file import build_network, is_network_file, read_network_file
from autodual.files.pickled import load_restricted, load_trusting
from autodual.files.state_dict import find_state_dict, load_state_dict
from autodual.frontend.onnx import ExternalFile, load_onnx_bytes


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model and the file it came from.

    Args:
        model: on the CPU, in evaluation mode.
        path: of the file.
        kind: of the file, in words.
        sha256: hexadecimal digest of the file's bytes.
        trained: for a network trained by autodual, plain values about its training, with the perturbation set.
        files: in which an ONNX model keeps more weights, each with its own digest.

    Example:
        >>> import torch
        >>> from autodual.files import load_model_file
        >>> torch.save(torch.nn.Linear(2, 3), "linear.pt")
        >>> loaded = load_model_file("linear.pt")
        >>> loaded.kind, len(loaded.sha256)
        ('torch.save file', 64)
    """

    model: nn.Module | ExportedProgram
    path: Path
    kind: str
    sha256: str
    trained: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[ExternalFile, ...] = ()


def load_model(
    path: str | PathLike[str], *, unsafe: bool = False, factory: Factory | str | None = None
) -> nn.Module | ExportedProgram:
    """The model in the file `path`, on the CPU and in evaluation mode.

    Args:
        path: a `torch.export.save` archive, an ONNX file (`.onnx` or `.onnx.gz`, see `load_onnx`), or a `torch.save`
            file of a module made of `torch.nn` layers, of a network trained by autodual, or of a state dict (itself, or
            under the key `state_dict`).
        unsafe: also load files that execute code while they are loaded, such as pickles of your own classes.
        factory: builds the network whose weights a state dict holds: a callable, `package.module:factory` or
            `path/to/file.py:factory`. Naming it runs that module's code.

    Raises:
        ModelFileError: the file is missing, damaged, of an unknown kind, does not fit the factory's network, or would
            execute code and `unsafe` is false.
        InvalidInputError: a parameter holds NaN or infinity, or the factory cannot be imported.
        UnsupportedOpsError, TraceError: an ONNX file holds operators that have no rule, or does not run as it says.

    Example:
        >>> import autodual, torch
        >>> torch.save(torch.nn.Linear(2, 3).state_dict(), "weights.pt")
        >>> autodual.load_model("weights.pt", factory=lambda: torch.nn.Linear(2, 3))
        Linear(in_features=2, out_features=3, bias=True)
    """
    return load_model_file(path, unsafe=unsafe, factory=factory).model


def load_model_file(
    path: str | PathLike[str],
    *,
    unsafe: bool = False,
    factory: Factory | str | None = None,
    output: int | None = None,
) -> LoadedModel:
    """As `load_model`, with the kind and the digest of the file, which reports quote.

    Args:
        path: as in `load_model`, and so are `unsafe` and `factory`.
        output: the output of an ONNX network that is its result, if it has several; other models keep all.

    Raises:
        ModelFileError, InvalidInputError, UnsupportedOpsError, TraceError: as `load_model`.

    Example:
        >>> import torch
        >>> from autodual.files import load_model_file
        >>> torch.save(torch.nn.Linear(2, 3), "linear.pt")
        >>> load_model_file("linear.pt").model
        Linear(in_features=2, out_features=3, bias=True)
    """
    place = Path(path)
    data = read_model_bytes(place)
    kind = identify(place, data)
    build = resolve_factory(factory) if isinstance(factory, str) else factory
    model: nn.Module | ExportedProgram
    trained: Mapping[str, Any] = {}
    files: tuple[ExternalFile, ...] = ()
    if kind is Kind.EXPORTED:
        if build is not None:
            raise InvalidInputError(f"'{place}' already holds the architecture; leave out factory=.")
        model = load_exported_trusting(str(place), data) if unsafe else load_exported(str(place), data)
        tensors = {**model.state_dict, **{k: v for k, v in model.constants.items() if hasattr(v, "is_floating_point")}}
    elif kind is Kind.ONNX:
        if build is not None:
            raise InvalidInputError(f"'{place}' already holds the architecture; leave out factory=.")
        model = load_onnx_bytes(str(place), data, folder=place.parent, output=output)
        model.path, files = place, model.files
        tensors = dict(model.named_buffers())
    else:
        model, trained = model_in(str(place), unpickled(str(place), data, unsafe), unsafe, build)
        tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    check_finite(str(place), tensors)
    return LoadedModel(model, place, kind.value, hashlib.sha256(data).hexdigest(), trained, files)


def unpickled(name: str, data: bytes, unsafe: bool) -> object:
    """The content of a `torch.save` file; raises ModelFileError if it would execute code, unless `unsafe`."""
    return load_trusting(name, data) if unsafe else load_restricted(name, data, allowed_classes())


def model_in(name: str, content: Any, unsafe: bool, factory: Factory | None) -> tuple[nn.Module, Mapping[str, Any]]:
    """The model in an unpickled file, in evaluation mode, and the values about its training.

    Raises as `load_model` does.
    """
    if is_network_file(content):
        file = read_network_file(name, content)
        return build_network(name, file, factory), file.trained
    return _module(name, content, unsafe, factory).eval(), {}


def _module(name: str, content: object, unsafe: bool, factory: Factory | None) -> nn.Module:
    if not isinstance(content, nn.Module):
        return load_state_dict(name, find_state_dict(name, content), factory)
    if factory is not None:
        raise InvalidInputError(f"'{name}' already holds the architecture; leave out factory=.")
    if not unsafe:
        check_module(name, content)
    return content
