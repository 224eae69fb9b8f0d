"""From the bytes of a file to an ONNX model whose structure can be trusted; nothing in it is executed."""

from __future__ import annotations

import gzip
import io
import zlib
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from autodual.errors import ModelFileError
from autodual.frontend.onnx.external import ExternalFile, fill_in
from autodual.frontend.onnx.file_limits import FIELDS, FILE_BYTES, NODES, allowance, refuse
from autodual.frontend.onnx.functions import inlined
from autodual.frontend.onnx.liveness import live_model
from autodual.frontend.onnx.messages import exceeds, is_text, parts, tensors
from autodual.frontend.onnx.real import require_real
from autodual.frontend.onnx.versions import require_version

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True, eq=False)
class OnnxFile:
    """A file that was read: the model with all weights and all functions inlined, and what a runtime is given instead.

    Attributes:
        name: what the file is called in messages.
        model: calls of the file's own functions are replaced by their bodies.
        original: the model as it is in the file, with its functions; weights of other files are in it.
        content: the file's bytes, if these are the whole model.
        files: those that hold weights besides.
    """

    name: str
    model: onnx.ModelProto
    original: onnx.ModelProto
    content: bytes
    files: tuple[ExternalFile, ...] = ()

    def runnable(self, output: str) -> bytes:
        """What a runtime is given: the file's own bytes, where these are the whole model and all of it is needed.

        Weights of other files are put in, and what the output does not depend on is left out: nothing has looked at
        it, and it need not end.
        """
        live = live_model(self.original, [output])
        return self.content if live is self.original and not self.files else live.SerializeToString()

    @property
    def size(self) -> int:
        """Bytes of the model with all its weights."""
        return self.original.ByteSize()


def require_onnx() -> Any:
    """The package onnx.

    Raises:
        ModelFileError: it is not installed.
    """
    try:
        return import_module("onnx")
    except ImportError:
        raise ModelFileError(
            "ONNX files need the package onnx; install it with pip install 'autodual[onnx]'."
        ) from None


def read_model(name: str, data: bytes, folder: Path | None = None) -> OnnxFile:
    """The model in the bytes of an `.onnx` or `.onnx.gz` file.

    folder: that of the file, in which it may keep weights in other files.

    Raises:
        ModelFileError: onnx is not installed, the bytes are not an ONNX model that is whole, its weights in other files
            are not there or not allowed, or it asks for more than any network needs.
    """
    onnx = require_onnx()
    data = _unpacked(name, data)
    if exceeds(data, onnx.ModelProto.DESCRIPTOR, FIELDS):
        refuse(name, f"it has more than {FIELDS:,} operators, attributes and names")
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except Exception:
        raise ModelFileError(f"'{name}' is no ONNX model, or it is truncated or damaged.") from None
    if not model.graph.node and not model.graph.output:
        raise ModelFileError(f"'{name}' is no ONNX model: it holds no graph.")
    if len(model.graph.node) > NODES:
        refuse(name, f"it has more than {NODES:,} operators")
    if not all(is_text(part) for part in parts(model)):
        raise ModelFileError(f"'{name}' is damaged: it holds names that are no text.")
    require_version(name, model)
    require_real(name, model)
    files = fill_in(name, folder, tensors(model))
    return OnnxFile(name, inlined(name, model), model, data, files)


def _unpacked(name: str, data: bytes) -> bytes:
    if data[:2] != b"\x1f\x8b":
        return data
    most = min(FILE_BYTES, allowance(len(data)))
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            unpacked = stream.read(most + 1)
    except (OSError, EOFError, zlib.error):
        raise ModelFileError(f"'{name}' is truncated or damaged: it cannot be decompressed.") from None
    if len(unpacked) > most:
        refuse(name, f"it unpacks to more than {most:,} bytes, which networks hardly do; unpack it yourself")
    return unpacked


def dtype_of(name: str, entry: onnx.ValueInfoProto) -> np.dtype:
    """The type of an input or output.

    Raises:
        ModelFileError: it is not a tensor, or of no type that ONNX knows.
    """
    from onnx import helper

    try:
        return np.dtype(helper.tensor_dtype_to_np_dtype(entry.type.tensor_type.elem_type))
    except (KeyError, TypeError):
        raise ModelFileError(f"'{name}' has the input or output '{entry.name}' of no type that is known.") from None
