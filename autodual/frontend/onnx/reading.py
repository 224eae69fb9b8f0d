"""From the bytes of a file to an ONNX model whose structure can be trusted; nothing in it is executed."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from autodual.errors import ModelFileError
from autodual.frontend.onnx.real import require_real

if TYPE_CHECKING:
    import onnx

OLDEST_OPSET = 7
_LARGEST = 2**31
"""Protocol buffers, and so ONNX files, hold less than 2 GiB."""


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


def read_model(name: str, data: bytes) -> onnx.ModelProto:
    """The model in the bytes of an `.onnx` or `.onnx.gz` file; calls of functions in it are replaced by their bodies.

    Raises:
        ModelFileError: onnx is not installed, or the bytes are not an ONNX model that is whole and in one file.
    """
    onnx = require_onnx()
    data = _unpacked(name, data)
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except Exception:
        raise ModelFileError(f"'{name}' is no ONNX model, or it is truncated or damaged.") from None
    if not model.graph.node and not model.graph.output:
        raise ModelFileError(f"'{name}' is no ONNX model: it holds no graph.")
    if not all(isinstance(text, str) for text in _texts(model.graph)):
        raise ModelFileError(f"'{name}' is damaged: it holds names that are no text.")
    opset = opset_of(model)
    newest = onnx.defs.onnx_opset_version()
    if not OLDEST_OPSET <= opset <= newest:
        raise ModelFileError(
            f"'{name}' uses version {opset} of the ONNX operators; versions {OLDEST_OPSET} to {newest} are supported, "
            "so export the network again."
        )
    require_real(name, model)
    for tensor in model.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise ModelFileError(
                f"'{name}' keeps its weights in other files; save it in one file with "
                "onnx.save(onnx.load(path), path, save_as_external_data=False)."
            )
    if model.functions:
        import onnx.inliner

        try:
            model = onnx.inliner.inline_local_functions(model)
        except Exception:
            raise ModelFileError(f"'{name}' is damaged: its functions cannot be read.") from None
    return model


def _unpacked(name: str, data: bytes) -> bytes:
    if data[:2] != b"\x1f\x8b":
        return data
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            unpacked = stream.read(_LARGEST + 1)
    except (OSError, EOFError, zlib.error):
        raise ModelFileError(f"'{name}' is truncated or damaged: it cannot be decompressed.") from None
    if len(unpacked) > _LARGEST:
        raise ModelFileError(f"'{name}' is refused: it unpacks to more than the 2 GiB that an ONNX file may have.")
    return unpacked


def _texts(graph: onnx.GraphProto) -> Iterator[object]:
    """All names in a graph and in those inside its operators; what is no valid text is read as bytes."""
    yield from (entry.name for entry in (*graph.input, *graph.output, *graph.initializer))
    for node in graph.node:
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        for attribute in node.attribute:
            yield attribute.name
            for body in (attribute.g, *attribute.graphs):
                yield from _texts(body)


def opset_of(model: onnx.ModelProto) -> int:
    """The version of the standard operators; 1 where the file does not say."""
    return max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=1)


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


def array_of(name: str, tensor: onnx.TensorProto) -> np.ndarray:
    """The entries of a tensor.

    Raises:
        ModelFileError: they do not fit its type and shape.
    """
    from onnx import TensorProto, numpy_helper

    if tensor.data_location == TensorProto.EXTERNAL:
        raise ModelFileError(f"'{name}' keeps constants in other files; save it in one file.")
    try:
        array = numpy_helper.to_array(tensor)
    except Exception:
        raise ModelFileError(
            f"'{name}' is damaged: the tensor '{tensor.name}' does not have its stated size."
        ) from None
    return np.asarray(array)
