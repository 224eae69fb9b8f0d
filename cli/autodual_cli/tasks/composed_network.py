"""The network of a property that is about more than one network's outputs, put together from ONNX files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from autodual.errors import InvalidInputError
from autodual.files import LoadedModel
from autodual.files.container import Kind, identify, read_model_bytes
from autodual.frontend.onnx.composed_model import VALUES, Part, compose
from autodual.frontend.onnx.declared_values import Declared
from autodual.frontend.onnx.loading import load_onnx_bytes
from autodual.frontend.onnx.model_file import OnnxFile, read_model
from autodual.properties import Declaration, Property, Variable


def composed_network(goal: Property, files: Mapping[str, Path]) -> tuple[list[LoadedModel], bytes]:
    """The files of a property's networks, each with the composed network as its model, and that network's own bytes.

    files: by the declared name of a network; those that are declared equal to another have none of their own. A
    property of version 1.0 has one network, of any name.

    Raises AutodualError where a file cannot be read or is no ONNX file, or does not have what is declared.
    """
    read = {name: _read(path) for name, path in files.items()}
    if goal.declarations:
        parts = [_part(network, read[network.equal_to or network.name][0]) for network in goal.declarations]
    else:
        parts = [Part(file, None, (), None) for file, _ in read.values()]
    content = compose(parts, goal.products, goal.sources)
    network = load_onnx_bytes(" and ".join(map(str, files.values())), content, output=VALUES)
    loaded = [
        LoadedModel(network, files[name], Kind.ONNX.value, digest, files=file.files)
        for name, (file, digest) in read.items()
    ]
    return loaded, content


def _read(path: Path) -> tuple[OnnxFile, str]:
    data = read_model_bytes(path)
    if identify(path, data) is not Kind.ONNX:
        raise InvalidInputError(
            f"'{path}' is no ONNX file; properties with several networks or outputs, hidden values, products of "
            "variables, or constraints between inputs and outputs need one."
        )
    return read_model(str(path), data, path.parent), hashlib.sha256(data).hexdigest()


def _part(network: Declaration, file: OnnxFile) -> Part:
    inputs, hidden, outputs = map(_declared, (network.inputs, network.hidden, network.outputs))
    return Part(file, inputs, hidden, outputs)


def _declared(variables: Sequence[Variable]) -> tuple[Declared, ...]:
    return tuple(Declared(one.name, one.element or "real", one.shape, one.onnx_name) for one in variables)
